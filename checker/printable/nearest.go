package printable

import "strings"

// Nearest returns the known word that is probably meant by a mistyped one, or "".
func Nearest(word string, known []string) (found string) {
	least := 2 // at most one mistake
	if len(word) > 5 {
		least = 3
	}
	for _, k := range known {
		if len(k)-len(word) >= least || len(word)-len(k) >= least { // saves time: the distance is not less
			continue
		}
		if d := distance(word, k); d < least {
			least, found = d, k
		}
	}
	for _, k := range known {
		if found == "" && len(word) > 1 && strings.HasPrefix(k, word) {
			found = k
		}
	}
	return found
}

// distance returns the number of mistakes between two words: characters that are missing,
// added, replaced, or swapped with the next one.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			d[i][j] = min(replaced, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
