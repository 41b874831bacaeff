/* Bytes that grow. */
#ifndef GANTRY_BYTES_H
#define GANTRY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* All zero at first; whoever has it frees `data`. */
struct bytes {
  uint8_t *data;
  size_t length, capacity;
};

/* False when there is no memory. */
static inline bool append(struct bytes *bytes, const uint8_t *data, size_t length) {
  if (bytes->length + length > bytes->capacity) {
    size_t capacity = (bytes->length + length) * 2;
    uint8_t *grown = realloc(bytes->data, capacity);
    if (grown == NULL) return false;
    bytes->data = grown;
    bytes->capacity = capacity;
  }
  memcpy(bytes->data + bytes->length, data, length);
  bytes->length += length;
  return true;
}

#endif
