package catalog

import (
	"fmt"
	"testing"
	"time"
)

// Servers rank all releases when they start.
func BenchmarkRank(b *testing.B) {
	releases := make([]Release, 10_000)
	for i := range releases {
		n := i * 7919 % len(releases)
		releases[i] = Release{Tag: fmt.Sprintf("v%d.%d.%d-rc.%d", n/1000, n/100%10, n/10%10, n%10), Date: time.Unix(int64(n), 0)}
	}
	for b.Loop() {
		new(Product).Rank(releases)
	}
}
