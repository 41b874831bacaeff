#include "text.h"

#include <string.h>

struct text text_over(char *buffer, size_t size) {
  return (struct text){.start = buffer, .at = buffer, .end = buffer + size};
}

size_t text_length(const struct text *text) {
  return (size_t)(text->at - text->start);
}

void text_bytes(struct text *text, const char *bytes, size_t length) {
  if ((size_t)(text->end - text->at) < length) {
    text->full = true;
    return;
  }
  memcpy(text->at, bytes, length);
  text->at += length;
}

void text_add(struct text *text, const char *string) {
  text_bytes(text, string, strlen(string));
}

void text_number(struct text *text, int64_t number) {
  char digits[20];
  size_t length = 0;
  uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do digits[sizeof digits - ++length] = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  if (number < 0) text_add(text, "-");
  text_bytes(text, digits + sizeof digits - length, length);
}

static void padded(char *at, unsigned number, int width) {
  for (int i = width - 1; i >= 0; i--, number /= 10) at[i] = (char)('0' + number % 10);
}

/* The proleptic Gregorian date of a day since 1970-01-01, by eras of 400 years that begin in March. */
static void date_of(int64_t day, unsigned *year, unsigned *month, unsigned *month_day) {
  int64_t shifted = day + 719468;
  int64_t era = shifted / 146097;
  unsigned day_of_era = (unsigned)(shifted - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned shifted_month = (5 * day_of_year + 2) / 153;
  *month_day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  *month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  *year = (unsigned)(year_of_era + era * 400) + (*month <= 2 ? 1 : 0);
}

void text_time(struct text *text, struct timespec time) {
  int64_t seconds = time.tv_sec < 0 ? 0 : time.tv_sec;
  unsigned year, month, day, second = (unsigned)(seconds % 86400);
  date_of(seconds / 86400, &year, &month, &day);
  char stamp[] = "0000-00-00T00:00:00.000000000";
  padded(stamp, year, 4);
  padded(stamp + 5, month, 2);
  padded(stamp + 8, day, 2);
  padded(stamp + 11, second / 3600, 2);
  padded(stamp + 14, second / 60 % 60, 2);
  padded(stamp + 17, second % 60, 2);
  padded(stamp + 20, (unsigned)time.tv_nsec, 9);
  size_t length = sizeof stamp - 1;
  while (stamp[length - 1] == '0') length--;
  if (stamp[length - 1] == '.') length--;
  text_bytes(text, stamp, length);
  text_add(text, "Z");
}

bool parse_number(const char *string, int64_t *number) {
  int64_t value = 0;
  if (*string == '\0') return false;
  for (; *string != '\0'; string++) {
    if (*string < '0' || *string > '9') return false;
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *string - '0', &value)) return false;
  }
  *number = value;
  return true;
}
