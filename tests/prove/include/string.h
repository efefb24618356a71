/* The analyser's own string functions: they come with contracts. What it lacks is below. */
#ifndef PROVE_STRING_H
#define PROVE_STRING_H
#include FRAMAC_STRING_H

/*
 * The analyser's contracts of these two want a valid pointer even for no bytes
 * at all, and memcmp's is written with more than WP can prove.
 */
/*@ requires target: \valid((char *)to + (0 .. n - 1));
    requires source: \valid_read((char *)from + (0 .. n - 1));
    requires initialised: \initialized((char *)from + (0 .. n - 1));
    assigns ((char *)to)[0 .. n - 1] \from ((char *)from)[0 .. n - 1]; */
extern void move(void *to, const void *from, size_t n);

/*@ requires first: \valid_read((char *)a + (0 .. n - 1));
    requires second: \valid_read((char *)b + (0 .. n - 1));
    assigns \result \from indirect: ((char *)a)[0 .. n - 1], indirect: ((char *)b)[0 .. n - 1];
    ensures none: n == 0 ==> \result == 0; */
extern int compare(const void *a, const void *b, size_t n);

#define memmove move
#define memcmp compare
#define explicit_bzero(p, n) memset(p, 0, n)
#endif
