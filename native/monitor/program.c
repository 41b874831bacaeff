#include "program.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* Never what is writable: it would be lost. */
static void unmap(uintptr_t start, uintptr_t end) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  start &= ~(page - 1);
  end = (end + page - 1) & ~(page - 1);
  madvise((void *)start, end - start, MADV_DONTNEED);
}

void program_relax(void) {
  const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
  size_t count = getauxval(AT_PHNUM);
  /* At the addresses that it was linked for; one that is not is for the tests. */
  if (headers == NULL || getauxval(AT_BASE) != 0) return;
  for (size_t i = 0; i < count; i++)
    if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W) == 0)
      unmap(headers[i].p_vaddr, headers[i].p_vaddr + headers[i].p_memsz);
}
