/*
 * Reading json-file logs: lines {"log":"…","stream":"…","time":"…"} to what Docker's clients get. JavaScript reaches
 * about a fifth of the speed.
 */
#include "addon.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum flag { FLAG_STDOUT = 1, FLAG_STDERR = 2, FLAG_TIMESTAMPS = 4, FLAG_FRAMED = 8, FLAG_DETAILS = 16 };

enum {
  HEADER = 8,
  STAMP = 31,          /* 2006-01-02T15:04:05.000000000Z and a space */
  EXTRA = HEADER + STAMP, /* what a line's output has at most beside its text */
  SLACK = 16,          /* how far the fast path reads and writes past what it means */
  DETAILS_GROWTH = 3,  /* of an attribute's byte comes %XX at worst */
};

struct span {
  const char *at;
  size_t length;
};

struct decoder {
  int64_t flags, since, until; /* nanoseconds; 0: no bound */
  char *out, *out_end;
  bool done; /* past `until` */
  struct span attributes; /* of the last line that had some */
  char stamp_text[40]; /* the last stamp and its value: lines of one batch share theirs */
  size_t stamp_length;
  int64_t stamp;
  char usual_text[40]; /* the last usual line's, whole */
  size_t usual_length;
};

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int hex4(const char *at, const char *end) {
  if (end - at < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

static char *put_rune(char *out, uint32_t rune) {
  if (rune < 0x80) {
    *out++ = (char)rune;
  } else if (rune < 0x800) {
    *out++ = (char)(0xc0 | rune >> 6);
    *out++ = (char)(0x80 | (rune & 63));
  } else if (rune < 0x10000) {
    *out++ = (char)(0xe0 | rune >> 12);
    *out++ = (char)(0x80 | (rune >> 6 & 63));
    *out++ = (char)(0x80 | (rune & 63));
  } else {
    *out++ = (char)(0xf0 | rune >> 18);
    *out++ = (char)(0x80 | (rune >> 12 & 63));
    *out++ = (char)(0x80 | (rune >> 6 & 63));
    *out++ = (char)(0x80 | (rune & 63));
  }
  return out;
}

/* \uXXXX after the `u`, a surrogate pair where one follows; what comes after it, NULL when it is no escape. */
static const char *unicode(const char *in, const char *end, char **out) {
  int first = hex4(in, end);
  if (first < 0) return NULL;
  in += 4;
  uint32_t rune = (uint32_t)first;
  if (first >= 0xd800 && first < 0xe000) {
    int second = first < 0xdc00 && end - in >= 6 && in[0] == '\\' && in[1] == 'u' ? hex4(in + 2, end) : -1;
    bool pair = second >= 0xdc00 && second < 0xe000;
    rune = pair ? 0x10000 + (((uint32_t)first - 0xd800) << 10) + ((uint32_t)second - 0xdc00) : 0xfffd;
    if (pair) in += 6;
  }
  *out = put_rune(*out, rune);
  return in;
}

static const char *escape(const char *in, const char *end, char **out) {
  static const char from[] = "nrtbf\"\\/", to[] = "\n\r\t\b\f\"\\/";
  if (in == end) return NULL;
  if (*in == 'u') return unicode(in + 1, end, out);
  const char *found = *in == '\0' ? NULL : strchr(from, *in);
  if (found == NULL) return NULL;
  *(*out)++ = to[found - from];
  return in + 1;
}

/* Copies plain text up to a quote, a backslash, a line feed or the end; may write SLACK bytes more. */
static const char *copy_plain(const char *in, const char *end, char **out) {
  char *to = *out;
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), feed = _mm_set1_epi8('\n');
  while (end - in >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)in);
    _mm_storeu_si128((__m128i *)(void *)to, bytes);
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(special, _mm_cmpeq_epi8(bytes, feed)));
    int run = mask == 0 ? 16 : __builtin_ctz(mask);
    in += run;
    to += run;
    if (mask == 0) continue;
    *out = to;
    return in;
  }
#endif
  while (in < end && *in != '"' && *in != '\\' && *in != '\n') *to++ = *in++;
  *out = to;
  return in;
}

/* Decodes a string from behind its opening quote; what follows its closing quote, NULL when it is none. */
static const char *string(const char *in, const char *end, char **out) {
  for (;;) {
    in = copy_plain(in, end, out);
    if (in == end || *in == '\n') return NULL;
    if (*in == '"') return in + 1;
    in = escape(in + 1, end, out);
    if (in == NULL) return NULL;
  }
}

static bool digits(const char *at, int count, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++) {
    if (at[i] < '0' || at[i] > '9') return false;
    *value = *value * 10 + (at[i] - '0');
  }
  return true;
}

static int64_t days_of(int year, int month, int day) {
  year -= month <= 2;
  int64_t era = year / 400;
  int year_of_era = year - (int)era * 400;
  int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* Nanoseconds since the epoch of an RFC 3339 time, false when it is none. */
static bool parse_time(const char *at, size_t length, int64_t *result) {
  int year, month, day, hour, minute, second;
  if (length < 20 || !digits(at, 4, &year) || !digits(at + 5, 2, &month) || !digits(at + 8, 2, &day) ||
      !digits(at + 11, 2, &hour) || !digits(at + 14, 2, &minute) || !digits(at + 17, 2, &second))
    return false;
  int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  const char *end = at + length;
  int64_t fraction = 0;
  at += 19;
  if (*at == '.') {
    int64_t unit = 100000000;
    for (at++; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10) fraction += (*at - '0') * unit;
  }
  int zone_hour, zone_minute;
  if (end - at == 6 && (*at == '+' || *at == '-') && digits(at + 1, 2, &zone_hour) && digits(at + 4, 2, &zone_minute)) {
    int64_t zone = zone_hour * 3600 + zone_minute * 60;
    seconds -= *at == '-' ? -zone : zone;
  } else if (end - at != 1 || *at != 'Z') {
    return false;
  }
  *result = seconds * 1000000000 + fraction;
  return true;
}

static bool time_of(struct decoder *decoder, struct span stamp, int64_t *value) {
  if (stamp.length == 0) return false;
  if (stamp.length == decoder->stamp_length && memcmp(stamp.at, decoder->stamp_text, stamp.length) == 0) {
    *value = decoder->stamp;
    return true;
  }
  if (stamp.length > sizeof decoder->stamp_text || !parse_time(stamp.at, stamp.length, value)) return false;
  memcpy(decoder->stamp_text, stamp.at, stamp.length);
  decoder->stamp_length = stamp.length;
  decoder->stamp = *value;
  return true;
}

/* Nine digits of a second's fraction and a space, whatever the log has: lines stay aligned. */
static void put_stamp(char *out, struct span stamp) {
  memcpy(out, "0001-01-01T00:00:00.000000000Z ", STAMP);
  if (stamp.length < 20) return;
  memcpy(out, stamp.at, 19);
  if (stamp.at[19] != '.') return;
  for (size_t i = 20; i < 29 && i < stamp.length && stamp.at[i] >= '0' && stamp.at[i] <= '9'; i++) out[i] = stamp.at[i];
}

static bool wanted(struct decoder *decoder, bool is_error, struct span stamp) {
  int64_t time;
  if (decoder->since != 0 || decoder->until != 0) {
    if (!time_of(decoder, stamp, &time)) return false;
    if (decoder->until != 0 && time > decoder->until) {
      decoder->done = true;
      return false;
    }
    if (decoder->since != 0 && time < decoder->since) return false;
  }
  return (decoder->flags & (is_error ? FLAG_STDERR : FLAG_STDOUT)) != 0;
}

static size_t prefix_size(const struct decoder *decoder) {
  return ((decoder->flags & FLAG_FRAMED) != 0 ? HEADER : 0) + ((decoder->flags & FLAG_TIMESTAMPS) != 0 ? STAMP : 0);
}

/* As Go's url.QueryEscape; reads a JSON string from behind its opening quote up to its end. */
static char *put_escaped(char *out, struct span text) {
  static const char hex[] = "0123456789ABCDEF";
  /* Decoded right behind what will be written last, so that reading stays ahead of writing. */
  char *from = out + 2 * text.length, *end = from;
  if (string(text.at, text.at + text.length + 1, &end) == NULL) return out;
  for (; from < end; from++) {
    unsigned char byte = (unsigned char)*from;
    bool plain = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '-' || byte == '_' ||
                 byte == '.' || byte == '~';
    if (plain || byte == ' ') {
      *out++ = plain ? (char)byte : '+';
      continue;
    }
    *out++ = '%';
    *out++ = hex[byte >> 4];
    *out++ = hex[byte & 15];
  }
  return out;
}

static const char *spaces(const char *in, const char *end);
static const char *raw_string(const char *in, const char *end, struct span *span);

/* The attributes, which the writer has put in order, as "name=value,name=value ". What is no object of strings ends them. */
static char *put_details(char *out, struct span attributes) {
  const char *in = attributes.at, *end = in + attributes.length;
  char separator = '{';
  for (char *start = out; in < end && *in == separator; separator = ',') {
    struct span name, value;
    in = raw_string(in + 1, end, &name);
    if (in == NULL || (in = spaces(in, end)) == end || *in != ':') break;
    in = raw_string(in + 1, end, &value);
    if (in == NULL) break;
    if (out > start) *out++ = ',';
    out = put_escaped(out, name);
    *out++ = '=';
    out = put_escaped(out, value);
    in = spaces(in, end);
  }
  *out++ = ' ';
  return out;
}

/* Completes a line whose text stands behind the room for its prefix. */
static void emit(struct decoder *decoder, char *text_end, bool is_error, struct span stamp) {
  if (!wanted(decoder, is_error, stamp)) return;
  char *at = decoder->out;
  if ((decoder->flags & FLAG_FRAMED) != 0) {
    size_t length = (size_t)(text_end - at) - HEADER;
    const char header[HEADER] = {is_error ? 2 : 1, 0, 0, 0, (char)(length >> 24), (char)(length >> 16), (char)(length >> 8), (char)length};
    memcpy(at, header, HEADER);
    at += HEADER;
  }
  if ((decoder->flags & FLAG_TIMESTAMPS) != 0) put_stamp(at, stamp);
  decoder->out = text_end;
}

static bool literal(const char **in, const char *end, const char *text, size_t length) {
  if ((size_t)(end - *in) < length || memcmp(*in, text, length) != 0) return false;
  *in += length;
  return true;
}

static const char *skip_value(const char *in, const char *end);

/* Passes over attributes, which are those of the line before as a rule; where there are none it stays. NULL when they make no sense. */
static const char *skip_attributes(struct decoder *decoder, const char *in, const char *end) {
  struct span *known = &decoder->attributes;
  static const char name[] = ",\"attrs\":";
  if (!literal(&in, end, name, sizeof name - 1)) return in;
  if (known->length > 0 && literal(&in, end, known->at, known->length)) return in;
  const char *after = skip_value(in, end);
  if (after != NULL) *known = (struct span){in, (size_t)(after - in)};
  return after;
}

/* The text up to a quote. Lines of one batch share their stamp, and comparing is quicker than looking for its end. */
static struct span usual_stamp(struct decoder *decoder, const char *in, const char *end) {
  size_t known = decoder->usual_length;
  if (known != 0 && (size_t)(end - in) > known && memcmp(in, decoder->usual_text, known) == 0 && in[known] == '"')
    return (struct span){.at = in, .length = known};
  const char *at = in;
  while (at < end && *at != '"' && *at != '\n') at++;
  size_t length = (size_t)(at - in);
  if (length <= sizeof decoder->usual_text) {
    memcpy(decoder->usual_text, in, length);
    decoder->usual_length = length;
  }
  return (struct span){.at = in, .length = length};
}

/* A line exactly as gantry-monitor and Docker write it, whose attributes nobody wants; its end or NULL. */
static const char *usual_line(struct decoder *decoder, const char *in, const char *end) {
  static const char head[] = "{\"log\":\"", stream[] = ",\"stream\":\"std", out[] = "out\"", err[] = "err\"", time[] = ",\"time\":\"";
  if ((decoder->flags & FLAG_DETAILS) != 0) return NULL;
  if (!literal(&in, end, head, sizeof head - 1)) return NULL;
  char *text_end = decoder->out + prefix_size(decoder);
  in = string(in, end, &text_end);
  if (in == NULL || !literal(&in, end, stream, sizeof stream - 1)) return NULL;
  bool is_error = false;
  if (!literal(&in, end, out, sizeof out - 1)) {
    if (!literal(&in, end, err, sizeof err - 1)) return NULL;
    is_error = true;
  }
  in = skip_attributes(decoder, in, end);
  if (in == NULL || !literal(&in, end, time, sizeof time - 1)) return NULL;
  struct span stamp = usual_stamp(decoder, in, end);
  in += stamp.length;
  if (!literal(&in, end, "\"}\n", 3)) return NULL;
  emit(decoder, text_end, is_error, stamp);
  return in;
}

static const char *spaces(const char *in, const char *end) {
  while (in < end && (*in == ' ' || *in == '\t' || *in == '\r')) in++;
  return in;
}

/* Passes over a value of any kind; brackets are only counted. NULL when the line ends in it. */
static const char *skip_value(const char *in, const char *end) {
  int depth = 0;
  for (in = spaces(in, end); in < end; in++) {
    if (*in == '"') {
      for (in++; in < end && *in != '"'; in++)
        if (*in == '\\') in++;
      if (in >= end) return NULL;
    } else if (*in == '{' || *in == '[') {
      depth++;
    } else if (*in == '}' || *in == ']') {
      if (depth == 0) return in;
      depth--;
    } else if (*in == ',' && depth == 0) {
      return in;
    }
  }
  return NULL;
}

/* The raw inside of a string value, and what follows it. */
static const char *raw_string(const char *in, const char *end, struct span *span) {
  in = spaces(in, end);
  if (in == end || *in != '"') return NULL;
  span->at = ++in;
  for (; in < end && *in != '"'; in++)
    if (*in == '\\') in++;
  if (in >= end) return NULL;
  span->length = (size_t)(in - span->at);
  return in + 1;
}

static bool is(struct span span, const char *text) {
  return span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

/* Any other object with these members; what is none is passed over. */
static void unusual_line(struct decoder *decoder, const char *in, const char *end) {
  struct span log = {0}, stream = {0}, stamp = {0}, attributes = {0};
  in = spaces(in, end);
  if (in == end || *in++ != '{') return;
  for (;;) {
    struct span key, ignored;
    in = raw_string(in, end, &key);
    if (in == NULL) return;
    in = spaces(in, end);
    if (in == end || *in++ != ':') return;
    struct span *target = is(key, "log") ? &log : is(key, "stream") ? &stream : is(key, "time") ? &stamp : &ignored;
    const char *value = spaces(in, end);
    in = target == &ignored ? skip_value(in, end) : raw_string(in, end, target);
    if (in == NULL) return;
    if (is(key, "attrs")) attributes = (struct span){value, (size_t)(in - value)};
    in = spaces(in, end);
    if (in == end) return;
    if (*in == '}') break;
    if (*in++ != ',') return;
  }
  if (log.at == NULL) return;
  char *text_end = decoder->out + prefix_size(decoder);
  if ((decoder->flags & FLAG_DETAILS) != 0) text_end = put_details(text_end, attributes);
  if (string(log.at, log.at + log.length + 1, &text_end) == NULL) return;
  emit(decoder, text_end, is(stream, "stderr"), stamp);
}

/* Decodes whole lines as long as there is room; where it stopped. */
static const char *decode(struct decoder *decoder, const char *in, const char *end) {
  ptrdiff_t growth = (decoder->flags & FLAG_DETAILS) != 0 ? DETAILS_GROWTH : 1;
  while (in < end && !decoder->done) {
    const char *feed = memchr(in, '\n', (size_t)(end - in));
    if (feed == NULL || decoder->out_end - decoder->out < (feed - in) * growth + EXTRA + SLACK) break;
    if (usual_line(decoder, in, feed + 1) == NULL) unusual_line(decoder, in, feed);
    in = feed + 1;
  }
  return in;
}

/* decodeJsonLog(input, from, to, output, flags, since, until): [consumed, produced, done] */
static napi_value decode_json_log(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  uint8_t *input, *output;
  size_t input_length, output_length;
  arg_bytes(&call, 0, &input, &input_length);
  int64_t from = arg_int(&call, 1), to = arg_int(&call, 2);
  arg_bytes(&call, 3, &output, &output_length);
  struct decoder decoder = {
      .flags = arg_int(&call, 4), .since = arg_bigint(&call, 5), .until = arg_bigint(&call, 6), .out = (char *)output};
  if (call.failed) return NULL;
  if (from < 0 || to < from || (uint64_t)to > input_length) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the range must lie in the input");
    return NULL;
  }
  decoder.out_end = decoder.out + output_length;
  const char *start = (const char *)input + from;
  const char *stop = decode(&decoder, start, (const char *)input + to);
  napi_value result;
  napi_create_array_with_length(env, 3, &result);
  napi_set_element(env, result, 0, value_int(env, stop - start));
  napi_set_element(env, result, 1, value_int(env, decoder.out - (char *)output));
  napi_set_element(env, result, 2, value_int(env, decoder.done));
  return result;
}

void init_jsonlog(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"decodeJsonLog", decode_json_log}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
