/* The chunk file (README.md has its format) and what can be said of a chunk. */
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define CHUNK_BYTES_MAX (256u << 20) /* less than the first four bytes of any text say */

static void corrupt(const char *what) {
    fprintf(stderr, "flbhost: cannot read the chunk file: %s\n", what);
    exit(1);
}

static void read_exactly(FILE *file, void *p, size_t n) {
    if (n > 0 && fread(p, 1, n, file) != n) {
        corrupt("it ends inside a frame");
    }
}

/* Returns the next chunk, or NULL at the end of file. */
struct chunk *chunk_read(FILE *file, const char *default_tag) {
    unsigned char head[6];
    size_t n = fread(head, 1, sizeof head, file);

    if (n == 0) {
        return NULL;
    }
    if (n < sizeof head) {
        corrupt("it ends inside a frame");
    }
    uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t) head[3] << 24;
    size_t tag_size = head[4] | head[5] << 8;
    if (size > CHUNK_BYTES_MAX) {
        corrupt("a frame claims more than 256 MiB; is this a chunk file?");
    }
    struct chunk *chunk = must_alloc(sizeof *chunk);
    chunk->references = 1;
    chunk->size = size;
    chunk->tag = must_alloc(tag_size + 1);
    chunk->data = must_alloc(size);
    read_exactly(file, chunk->tag, tag_size);
    read_exactly(file, chunk->data, size);
    if (tag_size == 0) {
        free(chunk->tag);
        chunk->tag = must_alloc(strlen(default_tag) + 1);
        strcpy(chunk->tag, default_tag);
    }
    return chunk;
}

void chunk_release(struct chunk *chunk) {
    if (--chunk->references == 0) {
        free(chunk->tag);
        free(chunk->data);
        free(chunk);
    }
}

static uint64_t big_endian(const unsigned char *p, int n) {
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/*
 * Steps over one value's header and payload. Returns its bytes, 0 if it is cut
 * or none, and sets *children.
 */
static uint64_t value_bytes(const unsigned char *p, uint64_t left, uint64_t *children) {
    /* per code from 0xc0: bytes after the code; -1/-2/-4: a length of that many bytes */
    static const signed char after[] = {0, 0, 0, 0, -1, -2, -4, -1, -2, -4, 4, 8, 1, 2, 4, 8,
                                        1, 2, 4, 8, 2,  3,  5,  9,  17, -1, -2, -4, -2, -4, -2, -4};
    unsigned char c = p[0];

    *children = 0;
    if (c < 0x80 || c >= 0xe0) {
        return 1;
    }
    if (c < 0x90) {
        *children = 2 * (c & 15);
        return 1;
    }
    if (c < 0xa0) {
        *children = c & 15;
        return 1;
    }
    if (c < 0xc0) {
        return 1 + (c & 31);
    }
    int n = after[c - 0xc0];
    if (n >= 0) {
        return 1 + n;
    }
    n = -n;
    if (left < 1 + (uint64_t) n) {
        return 0;
    }
    uint64_t length = big_endian(p + 1, n);
    if (c >= 0xdc) {
        *children = c >= 0xde ? 2 * length : length;
        return 1 + n;
    }
    return 1 + n + length + (c >= 0xc7 && c <= 0xc9);
}

/* Counts the events of a chunk up to the first damage, without group markers. */
int64_t chunk_records(const unsigned char *data, size_t size) {
    int64_t records = 0;
    size_t pos = 0;

    while (pos < size) {
        const unsigned char *event = data + pos;
        size_t left = size - pos;
        uint64_t pending = 1;

        while (pending > 0) {
            uint64_t children, n;
            if (pos >= size || (n = value_bytes(data + pos, size - pos, &children)) == 0 || n > size - pos) {
                return records;
            }
            pos += n;
            pending += children - 1;
        }
        int marker = left > 8 && memcmp(event, "\x92\x92\xd7\x00\xff\xff\xff", 7) == 0 && event[7] >= 0xfe;
        records += !marker;
    }
    return records;
}
