package server

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestLayeredMap compares maps, and copies that are changed, with ordinary maps. A map
// stays as it is when its copies change.
func TestLayeredMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "key")) })
		var m layeredMap[int]
		model := map[string]*int{}
		type version struct {
			layeredMap[int]
			model map[string]*int
		}
		var versions []version
		for i := range rapid.IntRange(1, 20).Draw(t, "copies") {
			m, model = m.copy(), maps.Clone(model)
			most := 2
			if i == 0 {
				most = 60 // a base that is large enough for layers
			}
			for range rapid.IntRange(0, most).Draw(t, "changes") {
				k := key.Draw(t, "key")
				if rapid.Bool().Draw(t, "remove") && i > 0 {
					m.set(k, nil)
					delete(model, k)
				} else {
					v := new(i)
					m.set(k, v)
					model[k] = v
				}
			}
			versions = append(versions, version{m, model})
		}
		for i, v := range versions {
			if got := maps.Collect(v.all()); !maps.Equal(got, v.model) {
				t.Fatalf("copy %d contains %v, want %v", i, got, v.model)
			}
			for k := range 41 {
				if k := fmt.Sprint(k); v.get(k) != v.model[k] {
					t.Fatalf("copy %d: %s has %v, want %v", i, k, v.get(k), v.model[k])
				}
			}
		}
	})
}
