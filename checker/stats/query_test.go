package stats_test

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

func parse(query string, today rollup.Day) (stats.Query, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	return stats.ParseQuery(values.Get, today)
}

func TestParseQuery(t *testing.T) {
	today := date("2026-03-31")
	for query, want := range map[string]stats.Query{
		"":                              {Range: days("2026-03-04", "2026-03-31"), LastDays: 28},
		"days=1":                        {Range: days("2026-03-31", "2026-03-31"), LastDays: 1},
		"days=+7&unknown=1":             {Range: days("2026-03-25", "2026-03-31"), LastDays: 7},
		"to=2026-03-30":                 {Range: days("2026-03-03", "2026-03-30")},
		"to=2026-03-31&days=7":          {Range: days("2026-03-25", "2026-03-31")},
		"from=2026-03-31":               {Range: days("2026-03-31", "2026-03-31")},
		"from=2026-01-01&to=2026-01-31": {Range: days("2026-01-01", "2026-01-31")},
		"version=v1.2&os=linux&arch=other": {Range: days("2026-03-04", "2026-03-31"), LastDays: 28,
			Filter: stats.Filter{Version: "v1.2", OS: "linux", Arch: "other"}},
		"site=factory":                 {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Site: "factory"},
		"site=local":                   {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Site: "local"},
		"below=1.2&above=512MiB":       {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Below: "1.2", Above: 512 << 20},
		"compare=v1.0.0..1.1.0":        {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"v1.0.0", "1.1.0"}},
		"compare=v1.2..1.3":            {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"v1.2", "1.3"}},
		"compare=v1.2.0..1.2.1":        {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"v1.2.0", "1.2.1"}},
		"compare=v1.2..1.3.0":          {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"v1.2", "1.3.0"}},
		"compare=-1...x":               {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"-1", ".x"}},
		"version=cli/v1.2.3":           {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Filter: stats.Filter{Version: "cli/v1.2.3"}},
		"below=2026-05-01":             {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Below: "2026-05-01"},
		"compare=a@1.2..1.2%2Bk3s1":    {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"a@1.2", "1.2+k3s1"}},
		"compare=1.2.0%2Ba..1.2.0%2Bb": {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Compare: [2]string{"1.2.0+a", "1.2.0+b"}},
		"version=%20v1.2.0-rc.1+":      {Range: days("2026-03-04", "2026-03-31"), LastDays: 28, Filter: stats.Filter{Version: "v1.2.0-rc.1"}},
	} {
		got, err := parse(query, today)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", query, got, err, want)
		}
	}
}

func TestParseQueryErrors(t *testing.T) {
	for query, want := range map[string]string{
		"days=0":                              "1 to 3660",
		"site=A+b":                            "is not the name of a site, or local for this store",
		"days=3661":                           "1 to 3660",
		"days=-7":                             "1 to 3660",
		"days=7.5":                            "1 to 3660",
		"days=99999999999999999999":           "1 to 3660",
		"days=7&from=2026-03-01":              "leave one of them out",
		"from=2026-04-01":                     "swap them",
		"from=2026-03-02&to=2026-03-01":       "swap them",
		"to=2026-04-01":                       "use 2026-03-31",
		"to=9999-12-31":                       "use 2026-03-31",
		"to=1969-12-31":                       "is too early",
		"from=0001-01-01":                     "is too early",
		"from=1999-01-01":                     "use at most 3660",
		"to=2026-02-30":                       "is not a date",
		"to=yesterday":                        "is not a date",
		"version=a%20b":                       "is not a version",
		"version=a%1bb":                       "is not a version",
		"version=" + strings.Repeat("1", 201): "is not a version",
		"os=Linux":                            "linux",
		"arch=x86":                            "amd64",
		"below=dev":                           "is not a version",
		"above=0":                             "512MiB",
		"above=-1":                            "512MiB",
		"above=1e9":                           "512MiB",
		"above=inf":                           "512MiB",
		"above=16777216TiB":                   "512MiB",
		"above=MiB":                           "512MiB",
		"above=1..5GB":                        "512MiB",
		"compare=v1.0.0":                      "v1.2.3..v1.3.0",
		"compare=v1.0.0..":                    "v1.2.3..v1.3.0",
		"compare=v1.0.0..1.0.0":               "two different ones",
		"compare=v1.2..1.2":                   "two different ones",
		"compare=v1.2..v1.2.0":                "two different ones",
		"compare=v1.2.7..1.2":                 "two different ones",
		"compare=2026.05..2026-05-01":         "two different ones",
		"compare=25..25":                      "two different ones",
		"compare=1.2.0rc1..v1.2":              "two different ones",
	} {
		got, err := parse(query, date("2026-03-31"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", query, got, err, want)
		}
		if name, _, _ := strings.Cut(query, "="); err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v, want it to name the parameter", query, err)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"1": 1, "1048576": 1 << 20, "512MiB": 512 << 20, "100MB": 100e6, "1GiB": 1 << 30, "1.5 GiB": 3 << 29, "2kb": 2000, "7B": 7, ".5KiB": 512,
	} {
		if got, err := stats.ParseBytes(s); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", s, got, err, want)
		}
	}
}

// roundTrip checks that parsing the values of a query returns the query.
func roundTrip(t rapid.TB, q stats.Query, today rollup.Day) {
	t.Helper()
	if again, err := stats.ParseQuery(q.Values().Get, today); err != nil || again != q {
		t.Errorf("parsing %s: got %+v, %v, want %+v", q.Values().Encode(), again, err, q)
	}
}

func TestQueryValues(t *testing.T) {
	today := date("2026-03-31")
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, all ...string) string { return rapid.SampledFrom(append(all, "")).Draw(t, name) }
		drawn := map[string]string{
			"days": draw("days", "1", "7", "28", "365", "3660"), "from": draw("from", "2025-02-28", "2026-03-31"),
			"to": draw("to", "2026-03-31", "2026-03-01"), "version": draw("version", "v1", "1.2", "--", "1.0.0-x+y"),
			"os": draw("os", "linux", "other"), "arch": draw("arch", "amd64", "other"), "below": draw("below", "1.2", "v1.0.0-rc.1"),
			"above": draw("above", "1", "1.5KiB", "7EB"), "compare": draw("compare", "a..b", "a...b", "1.0.0..2.0.0"),
		}
		if q, err := stats.ParseQuery(func(name string) string { return drawn[name] }, today); err == nil {
			roundTrip(t, q, today)
		}
	})
	q, err := parse("days=28", today)
	if err != nil || len(q.Values()) != 0 {
		t.Errorf("got values %s, %v, want none for the default", q.Values().Encode(), err)
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("7", "", "", "v1.2.3", "linux", "amd64", "v1.0.0", "512MiB", "v1.0.0..v1.1.0")
	f.Add("", "2026-01-01", "2026-01-02", "-1+1", "other", "other", "1", "1.5 GB", "a...b")
	f.Add("1e3", "-0001-01-01", "0000-00-00", "=HYPERLINK(1)", "\x1b[2J", "<b>", "99999999999999999999.0.0", "\u0660", "....")
	f.Add(" 28", "", "1970-01-01", "v1.2\n", "", "", "", "9223372036854775807", "..")
	f.Fuzz(func(t *testing.T, days, from, to, version, os, arch, below, above, compare string) {
		today := date("2026-03-31")
		got := map[string]string{"days": days, "from": from, "to": to, "version": version, "os": os, "arch": arch, "below": below,
			"above": above, "compare": compare}
		q, err := stats.ParseQuery(func(name string) string { return got[name] }, today)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x1b\n\r") {
				t.Errorf("got control characters in error %q", err)
			}
			return
		}
		if q.To > today || q.Days() < 1 || q.Days() > 3660 || q.Above < 0 {
			t.Errorf("got query %+v", q)
		}
		for _, v := range []string{q.Version, q.Below, q.Compare[0], q.Compare[1]} {
			if v != "" && catalog.CheckTag(v) != nil {
				t.Errorf("got invalid version %q", v)
			}
		}
		roundTrip(t, q, today)
	})
}
