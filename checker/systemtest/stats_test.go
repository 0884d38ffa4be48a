package systemtest

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestStatsJSONAndCSV checks that --json and --csv without --by print the summary or the
// table that the other flags ask for.
func TestStatsJSONAndCSV(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relcheck.db")
	relcheck(t, "product", "add", "tool", "--db", store)
	for _, c := range []struct{ flags, table, columns string }{
		{"", "summary", "period,from,to,instances,"},
		{"--days 7", "summary", "period,from,to,instances,"},
		{"--by versions", "versions", "version,released,"},
		{"--below v1.0.0", "deprecation", "below,instances,"},
		{"--compare v1.0..v1.1", "heap_change", "percentile,old,new,"},
	} {
		args := append([]string{"stats", "tool", "--db", store}, strings.Fields(c.flags)...)
		var d struct{ Product, Table, Note string }
		if err := json.Unmarshal([]byte(relcheck(t, append(args, "--json")...)), &d); err != nil || d.Product != "tool" || d.Table != c.table {
			t.Errorf("%s --json: got %+v (error %v), want table %s of tool", c.flags, d, err, c.table)
		}
		if c.table == "heap_change" && !strings.Contains(d.Note, "no instance reported v1.0 in the range") {
			t.Errorf("%s: got note %q, want that no instance reported v1.0", c.flags, d.Note)
		}
		if got := relcheck(t, append(args, "--csv")...); !strings.HasPrefix(got, c.columns) {
			t.Errorf("%s --csv: got %s, want columns %s", c.flags, got, c.columns)
		}
	}
	if out, status := relcheckStatus(t, "stats", "tool", "--db", store, "--json", "--csv"); status == 0 || !strings.Contains(out, "cannot be combined") {
		t.Errorf("--json and --csv: got exit status %d and output %s, want an error", status, out)
	}
}
