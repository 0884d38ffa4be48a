package db

import (
	"strconv"
	"testing"
)

// SmallSteps makes folds take pages of so many reports, until the test ends.
func SmallSteps(t testing.TB, page int) {
	before := foldPage
	foldPage = page
	t.Cleanup(func() { foldPage = before })
}

func (s *Store) Counts() (string, error) {
	out := ""
	for _, q := range []string{"SELECT count(*) FROM rollup WHERE span=1", "SELECT count(*) FROM rollup WHERE span=7", "SELECT count(*) FROM rollup WHERE span=28", "SELECT sum(length(data)) FROM sketch WHERE span=1", "SELECT sum(length(data)) FROM sketch WHERE span=28", "SELECT count(*) FROM life", "SELECT count(*) FROM checks"} {
		var n int
		s.read.QueryRow(q).Scan(&n)
		out += q + "=" + strconv.Itoa(n) + "\n"
	}
	return out, nil
}
