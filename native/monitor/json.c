#include "json.h"

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool plain(unsigned char byte) {
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

/* Copies bytes that need no thought; returns how many. */
static size_t copy_plain(char *out, const char *in, size_t length) {
  size_t at = 0;
#ifdef __SSE2__
  /* Signed comparison: control characters and bytes from 0x80 are both less than 0x20. `"` and `&`, `<` and `>` differ in one bit. */
  const __m128i space = _mm_set1_epi8(0x20), backslash = _mm_set1_epi8('\\');
  const __m128i four = _mm_set1_epi8(4), ampersand = _mm_set1_epi8('&');
  const __m128i two = _mm_set1_epi8(2), greater = _mm_set1_epi8('>');
  for (; at + 16 <= length; at += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(in + at));
    _mm_storeu_si128((__m128i *)(void *)(out + at), bytes);
    __m128i special = _mm_or_si128(_mm_cmplt_epi8(bytes, space), _mm_cmpeq_epi8(bytes, backslash));
    special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_or_si128(bytes, four), ampersand));
    special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_or_si128(bytes, two), greater));
    unsigned mask = (unsigned)_mm_movemask_epi8(special);
    if (mask != 0) return at + (size_t)__builtin_ctz(mask);
  }
#endif
  for (; at < length && plain((unsigned char)in[at]); at++) out[at] = in[at];
  return at;
}

/* The length of the valid UTF-8 sequence at the start, 0 when there is none (RFC 3629: no surrogates, nothing overlong). */
static size_t sequence(const unsigned char *in, size_t length) {
  unsigned char first = in[0];
  size_t need = first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (need == 0 || need > length) return 0;
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (in[1] < low || in[1] > high) return 0;
  for (size_t i = 2; i < need; i++)
    if ((in[i] & 0xc0) != 0x80) return 0;
  return need;
}

static char *put(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return out + length;
}

static char *escape_ascii(char *out, unsigned char byte) {
  static const char hex[] = "0123456789abcdef";
  if (byte == '\n') return put(out, "\\n", 2);
  if (byte == '\r') return put(out, "\\r", 2);
  if (byte == '"' || byte == '\\') {
    *out++ = '\\';
    *out++ = (char)byte;
    return out;
  }
  out = put(out, "\\u00", 4);
  *out++ = hex[byte >> 4];
  *out++ = hex[byte & 15];
  return out;
}

static char *escape_rune(char *out, const unsigned char *in, size_t length, size_t *used) {
  size_t size = sequence(in, length);
  *used = size == 0 ? 1 : size;
  if (size == 0) return put(out, "\\ufffd", 6);
  if (size == 3 && in[0] == 0xe2 && in[1] == 0x80 && (in[2] == 0xa8 || in[2] == 0xa9))
    return put(out, in[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
  memcpy(out, in, size);
  return out + size;
}

size_t json_line(char **out, const char *in, size_t length, bool *ended) {
  char *to = *out;
  size_t at = 0;
  *ended = false;
  while (at < length && !*ended) {
    size_t run = copy_plain(to, in + at, length - at);
    at += run;
    to += run;
    if (at == length) break;
    unsigned char byte = (unsigned char)in[at];
    size_t used = 1;
    if (byte < 0x80)
      to = escape_ascii(to, byte);
    else
      to = escape_rune(to, (const unsigned char *)in + at, length - at, &used);
    at += used;
    *ended = byte == '\n';
  }
  *out = to;
  return at;
}

size_t utf8_whole(const char *in, size_t length) {
  for (size_t back = 1; back <= 3 && back < length; back++) {
    unsigned char byte = (unsigned char)in[length - back];
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    size_t need = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return need > back ? length - back : length;
  }
  return length;
}
