package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// friday is the last day of the counts in these tests.
const friday = "2026-11-27"

func day(t testing.TB, s string) rollup.Day {
	t.Helper()
	d, err := rollup.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func site(t testing.TB) *Site {
	return &Site{Name: "factory", Threshold: 10, Through: day(t, friday)}
}

// cells returns valid counts in order.
func cells(t testing.TB) []*rollup.Cell {
	linux, windows := checker.Platform{OS: "linux", Arch: "amd64"}, checker.Platform{OS: "windows", Arch: "amd64"}
	cell := func(span rollup.Span, from, version string, p checker.Platform, reports, instances int64) *rollup.Cell {
		return &rollup.Cell{Period: rollup.Period{Span: span, Day: day(t, from)}, Build: rollup.Build{Version: version, Platform: p}, Reports: reports, Instances: instances}
	}
	all := []*rollup.Cell{
		cell(rollup.OneDay, "2026-11-16", "v1.0.0", linux, 500, 20),
		cell(rollup.OneDay, "2026-11-16", "v1.0.0", windows, 20, 10),
		cell(rollup.OneWeek, "2026-11-16", "v1.0.0", linux, 1000, 30),
		cell(rollup.OneDay, friday, "other", checker.Other, 0, 0),
	}
	all[0].Installations = rollup.Installations{Daily: 50, Weekly: 40, Monthly: 30, New: 10, Back7: 20, Back28: 10}
	all[0].Heaps.Add(-1, 10)
	all[0].Heaps.Add(1000, 20)
	all[3].Checks = 70
	return all
}

func writeCounts(t testing.TB, k note.Signer, h Header, products map[string][]*rollup.Cell, names ...string) []byte {
	t.Helper()
	w, err := NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, name := range names {
		err := w.Product(&Product{Name: name, Sequence: 7})
		for _, c := range products[name] {
			err = errors.Join(err, w.Cell(c))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.Write(&b, h, k, nil, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCountsRoundTrip(t *testing.T) {
	k := newKey(t, "example.com")
	want := map[string][]*rollup.Cell{"opa": cells(t), "app": cells(t)[1:]}
	h := Header{Store: "s", Created: created, Site: site(t)}
	text := writeCounts(t, k.Signer, h, want, "opa", "app")
	r, err := NewReader(bytes.NewReader(text), note.VerifierList(k.Verifier))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Site == nil || *r.Site != *h.Site || len(r.Products) != 2 {
		t.Errorf("got site %+v and %d products, want %+v and 2", r.Site, len(r.Products), h.Site)
	}
	for _, p := range r.Products {
		var got []*rollup.Cell
		for c, err := range r.Cells(p) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		if diff := cmp.Diff(fmt.Sprint(values(want[p.Name])), fmt.Sprint(values(got))); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", p.Name, diff)
		}
	}
	if _, _, err := r.NextContent(); err != io.EOF {
		t.Errorf("got error %v after the index, want EOF", err)
	}
}

func values(cells []*rollup.Cell) (all []string) {
	for _, c := range cells {
		text := fmt.Sprint(c.Period, c.Build, c.Reports, c.Instances, c.Checks, c.Installations)
		for bucket, n := range c.Heaps.All() {
			text += fmt.Sprint(" ", bucket, n)
		}
		all = append(all, text)
	}
	return all
}

// good is a valid line of counts, which hostile lines change.
const good = `{"cell":{"from":"2026-11-16","period":"day","version":"v1.0.0","os":"linux","arch":"amd64","reports":20,"instances":10,"daily":20,"weekly":10,"heaps":[[1000,20]]}}` + "\n"

func TestHostileCounts(t *testing.T) {
	k := newKey(t, "example.com")
	product := `{"product":{"name":"opa","sequence":1}}` + "\n"
	replace := func(pairs ...string) string { return product + strings.NewReplacer(pairs...).Replace(good) }
	for name, test := range map[string]struct{ index, want string }{
		"valid":                       {product + good, ""},
		"negative reports":            {replace(`"reports":20`, `"reports":-20`), "a count of -20 is not from 0"},
		"negative installations":      {replace(`"daily":20`, `"daily":-20`), "a count of -20 is not from 0"},
		"too many":                    {replace(`"reports":20`, `"reports":9000000000000000000`), "is not from 0 to 100000000000"},
		"overflow":                    {replace(`"reports":20`, `"reports":20000000000000000000`), "not a valid bundle"},
		"a fraction":                  {replace(`"reports":20`, `"reports":20.5`), "not a valid bundle"},
		"under the threshold":         {replace(`"instances":10`, `"instances":9`), "a count of 9 is not a multiple of the threshold 10"},
		"a heap under the threshold":  {replace(`[1000,20]`, `[1000,5]`), "a count of 5 is not a multiple"},
		"no heap":                     {replace(`[1000,20]`, `[1000,0]`), "are not valid or not in order"},
		"a bucket twice":              {replace(`[1000,20]`, `[1000,20],[1000,20]`), "are not valid or not in order"},
		"a wrong bucket":              {replace(`[1000,20]`, `[1000000000,20]`), "are not valid or not in order"},
		"a negative bucket":           {replace(`[1000,20]`, `[-2,20]`), "are not valid or not in order"},
		"too many heaps":              {replace(`[1000,20]`, `[1,100000000000],[2,100000000000]`), "a count of 200000000000 is not from 0"},
		"the future":                  {replace("2026-11-16", "2026-11-28"), "its day is not over on 2026-11-27"},
		"an unfinished week":          {replace("2026-11-16", "2026-11-23", `"day"`, `"week"`, `"daily":20,"weekly":10,"heaps":[[1000,20]]`, `"checks":0`), "its week is not over"},
		"a week from Tuesday":         {replace("2026-11-16", "2026-11-17", `"day"`, `"week"`), "no week begins on 2026-11-17"},
		"before 1970":                 {replace("2026-11-16", "1969-12-31"), "no day begins on 1969-12-31"},
		"no date":                     {replace("2026-11-16", "2026-13-16"), "is not a date"},
		"an unknown period":           {replace(`"day"`, `"year"`), `"year" is not a day, week or four weeks`},
		"installations of a week":     {replace(`"day"`, `"week"`), "only days can have"},
		"new ones of other builds":    {replace("v1.0.0", "other", "linux", "other", "amd64", "other", `"weekly":10`, `"new":30`), "contradict each other"},
		"more weekly than daily":      {replace(`"weekly":10`, `"weekly":30`), "contradict each other"},
		"nothing":                     {replace(`"reports":20,"instances":10,"daily":20,"weekly":10,"heaps":[[1000,20]]`, `"reports":0`), "it has no counts"},
		"a wrong version":             {replace("v1.0.0", "v1 0"), "is not a version"},
		"no version":                  {replace("v1.0.0", ""), "is not a version"},
		"an unknown platform":         {replace("linux", "solaris9"), "unknown platform"},
		"a cell twice":                {product + good + good, "it is listed twice or is not in order"},
		"cells in another order":      {product + good + strings.Replace(good, "11-16", "11-15", 1), "it is listed twice or is not in order"},
		"a key twice":                 {replace(`"os":`, `"version":"v2","os":`), "not a valid bundle"},
		"no product":                  {good, "counts without a site or a product"},
		"a release":                   {product + `{"release":{"tag":"v1.0.0","layer":{}}}` + "\n", "it has releases beside counts"},
		"a file":                      {product + `{"content":{"sha256":"` + strings.Repeat("ab", 32) + `","size":1}}` + "\n", "it has files beside counts"},
		"settings":                    {`{"product":{"name":"opa","sequence":1,"fields":{"title":"x"}}}` + "\n", "has settings or a base"},
		"the name of another product": {`{"product":{"name":"../opa","sequence":1}}` + "\n", "product \"../opa\""},
		"a product twice":             {product + product, "is listed twice"},
		"a huge line":                 {product + `{"cell":{"version":"` + strings.Repeat("x", maxLine), "read the index"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(archive(t, k.Signer, Header{Store: "s", Created: created, Site: site(t)}, test.index)), note.VerifierList(k.Verifier))
			if r != nil {
				r.Close()
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case test.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	// Counts are refused in a bundle of releases.
	_, err := NewReader(bytes.NewReader(archive(t, k.Signer, Header{Store: "s", Created: created}, product+good)), note.VerifierList(k.Verifier))
	if err == nil || !strings.Contains(err.Error(), "counts without a site") {
		t.Errorf("counts in a bundle of releases: got error %v", err)
	}
}

// archive writes a bundle with the text of an index.
func archive(t testing.TB, k note.Signer, h Header, index string) []byte {
	t.Helper()
	w, err := NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.lines.WriteString(index)
	w.size = int64(len(index))
	var b bytes.Buffer
	if _, err := w.Write(&b, h, k, nil, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWrongSites(t *testing.T) {
	k := newKey(t, "example.com")
	for want, s := range map[string]Site{
		"cannot be the name of a site": {"Factory 1", 10, day(t, friday)},
		`"local" cannot be the name`:   {"local", 10, day(t, friday)},
		"the threshold 0 is not":       {"a", 0, day(t, friday)},
		"the threshold -10 is not":     {"a", -10, day(t, friday)},
		"was not over when the bundle": {"a", 10, rollup.DayOf(created)},
		"1970-01-01 was not over":      {"a", 10, 0},
	} {
		w, err := NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_, err = w.Write(io.Discard, Header{Store: "s", Created: created, Site: &s}, k.Signer, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want one with %q", s, err, want)
		}
	}
	for _, text := range []string{
		"threshold 10\nthrough 2026-11-27\n", // no site
		"site a\nthreshold 10\n", "site a\nthrough 2026-11-27\nthreshold 10\n", "site a\nthreshold 010\nthrough 2026-11-27\n",
		"base " + strings.Repeat("0", 64) + "\nsite a\nthreshold 10\nthrough 2026-11-27\n",
	} {
		if h, err := parseHeader(firstLine + "\nstore s\ncreated 2026-11-28T12:00:00Z\n" + text + "index 0 " + strings.Repeat("0", 64) + "\n"); err == nil {
			t.Errorf("%q: got %+v, want an error", text, h)
		}
	}
}

// No input makes the decoder of counts panic, or accept counts that are not valid.
func FuzzCounts(f *testing.F) {
	f.Add(`{"product":{"name":"opa","sequence":1}}` + "\n" + good)
	f.Add(good + good)
	f.Fuzz(func(t *testing.T, index string) {
		s := site(t)
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		io.WriteString(file, index)
		r := &Reader{Header: Header{Site: s, indexSize: int64(len(index))}, index: file}
		if err := r.checkIndex(); err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("got error %v, want one that wraps ErrInvalid", err)
			}
			return
		}
		for _, p := range r.Products {
			var last *rollup.Cell
			for c, err := range r.Cells(p) {
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range c.Numbers() {
					if *n < 0 || *n > maxCount || *n%s.Threshold != 0 {
						t.Errorf("got count %d, want a multiple of %d up to %d", *n, s.Threshold, int64(maxCount))
					}
				}
				if c.Range().To > s.Through || last != nil && last.Compare(c) >= 0 {
					t.Errorf("got %+v after %+v, want it in order and until %s", c, last, s.Through)
				}
				last = c
			}
		}
	})
}
