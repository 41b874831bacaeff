#include "options.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

_Noreturn void usage(const char *problem, const char *subject) {
  static char line[512];
  struct text text = text_over(line, sizeof line - 1);
  text_add(&text, "gantry-monitor: ");
  text_add(&text, problem);
  text_add(&text, subject);
  text_add(&text, "\n");
  (void)!write(2, line, text_length(&text));
  _exit(125);
}

static int64_t number_of(const char *name, const char *value) {
  int64_t number;
  if (!parse_number(value, &number)) usage("not a number, for ", name);
  return number;
}

/* `--launch 3 crun run x`: the count, then that many words. Ends them with NULL by moving them one to the left. */
static char **words_of(const char *name, char ***at) {
  int64_t count = number_of(name, **at);
  char **words = *at;
  for (int64_t i = 0; i < count; i++) {
    if (words[i + 1] == NULL) usage("too few words after ", name);
    words[i] = words[i + 1];
  }
  if (count < 1) usage("no command after ", name);
  words[count] = NULL;
  *at += count;
  return words;
}

static bool parse_switch(struct options *options, const char *name) {
  const struct {
    const char *name;
    bool *target;
  } switches[] = {
      {"--terminal", &options->terminal},         {"--stdin", &options->input},
      {"--stdin-once", &options->input_once},     {"--hold", &options->hold},
      {"--hide-unified", &options->hide_unified}, {"--log-compress", &options->log.compress},
  };
  for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
    if (strcmp(name, switches[i].name) != 0) continue;
    *switches[i].target = true;
    return true;
  }
  return false;
}

static bool parse_number_option(struct options *options, const char *name, const char *value) {
  int64_t report = -1;
  const struct {
    const char *name;
    int64_t *target;
  } numbers[] = {
      {"--rows", &options->rows},
      {"--columns", &options->columns},
      {"--report", &report},
      {"--stall-ms", &options->stall_ms},
      {"--runtime-ms", &options->runtime_ms},
      {"--log-max-size", &options->log.max_size},
      {"--log-max-files", &options->log.max_files},
      {"--log-buffer", &options->log.buffer},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strcmp(name, numbers[i].name) != 0) continue;
    *numbers[i].target = number_of(name, value);
    if (report >= 0) options->report = (int)report;
    return true;
  }
  return false;
}

static bool parse_string(struct options *options, const char *name, const char *value) {
  const struct {
    const char *name;
    const char **target;
  } strings[] = {
      {"--dir", &options->directory},
      {"--oom-file", &options->oom_file},
      {"--runtime-log", &options->runtime_log},
      {"--log-path", &options->log.path},
      {"--log-attributes", &options->log.attributes},
  };
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
    if (strcmp(name, strings[i].name) != 0) continue;
    *strings[i].target = value;
    return true;
  }
  return false;
}

struct options parse_options(char **arguments) {
  struct options options = {.report = -1, .stall_ms = 60 * 1000, .runtime_ms = 120 * 1000, .log = {.max_files = 1}};
  for (char **at = arguments; *at != NULL; at++) {
    const char *name = *at;
    if (parse_switch(&options, name)) continue;
    if (*++at == NULL) usage("no value for ", name);
    if (strcmp(name, "--launch") == 0)
      options.launch = words_of(name, &at);
    else if (strcmp(name, "--cleanup") == 0)
      options.cleanup = words_of(name, &at);
    else if (!parse_number_option(&options, name, *at) && !parse_string(&options, name, *at))
      usage("unknown option ", name);
  }
  if (options.launch == NULL) usage("missing ", "--launch");
  if (options.directory == NULL) usage("missing ", "--dir");
  return options;
}
