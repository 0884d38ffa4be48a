package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// FuzzReport holds the decoder of bodies against the standard library's: what
// one takes for JSON with an id, so does the other, and what comes out is valid.
func FuzzReport(f *testing.F) {
	for _, s := range []string{
		`{"id":"08c1d850-6065-478a-b9b5-a8f9f464ad33","version":"v0.12.3","heap_usage_bytes":"596000"}`,
		`{"heap_usage_bytes":2664880,"id":"A34AC24B-8E94-4886-A8AE-20E18B65D40C","version":"0.70.0","x":[{"y":null}]}`,
		`{"id":null,"version":[],"heap_usage_bytes":-1}`,
		`{"id":"\u0030","id":""}`, `null`, `[[[[`, "{\"\xff\":1}", ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := readReport(httptest.NewRequest("POST", "/v1/version", bytes.NewReader(body)))
		if err != nil {
			if e := (*failure)(nil); !errors.As(err, &e) || e.status < 400 || e.status > 499 || e.message == "" {
				t.Fatalf("%q: %v is not an error for the caller", body, err)
			}
			return
		}
		var std struct{ ID, Version string }
		if err := json.Unmarshal(body, &std); err != nil || !utf8.Valid(body) {
			t.Fatalf("%q was taken, and is not JSON: %v", body, err)
		}
		if r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 || !checker.ValidVersion(r.Version) || r.HeapUsageBytes != nil && *r.HeapUsageBytes < 0 {
			t.Fatalf("%q: took %+v", body, r)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := readReport(httptest.NewRequest("POST", "/v1/version", bytes.NewReader(again)))
		if err != nil || back.ID != r.ID || back.Version != r.Version || (back.HeapUsageBytes == nil) != (r.HeapUsageBytes == nil) {
			t.Fatalf("%s came back as %+v, %v", again, back, err)
		}
	})
}

// FuzzEdit reads bodies as changes of a release and of a product. What is taken
// is JSON for the standard library too, comes to something valid, and does so
// again when what came of it is sent. Its seeds are in testdata.
func FuzzEdit(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		request := func(body []byte) *http.Request {
			return httptest.NewRequest("PUT", "/api/v1/products/opa", bytes.NewReader(body))
		}
		refused := func(err error) bool {
			if e := (*failure)(nil); err != nil && (!errors.As(err, &e) || e.status < 400 || e.status > 499 || e.message == "") {
				t.Fatalf("%q: %v is not an error for the caller", body, err)
			}
			if err == nil && (!json.Valid(body) || !utf8.Valid(body)) {
				t.Fatalf("%q was taken, and is not JSON", body)
			}
			return err != nil
		}
		if e, err := readRelease(request(body)); !refused(err) {
			r := e.Apply(catalog.Release{Version: "v1.0.0"})
			checkRelease(t, r)
			e, err := readRelease(request(encode(editable(r))))
			if diff := cmp.Diff(r, e.Apply(catalog.Release{Version: "v1.0.0"})); err != nil || diff != "" {
				t.Fatalf("%q came back: %v\n%s", body, err, diff)
			}
		}
		if e, err := readProduct(request(body)); !refused(err) {
			p, err := e.Apply(catalog.Product{Name: "app"})
			if err == nil && (catalog.CheckProduct(p) != nil || p.Title == "") {
				t.Fatalf("%q became %+v", body, p)
			}
			refused(invalidField(err))
		}
	})
}

// checkRelease makes sure that all of a release may be shown and stored.
func checkRelease(t *testing.T, r catalog.Release) {
	t.Helper()
	links := slices.Collect(maps.Values(r.Assets))
	if r.Notes != "" {
		links = append(links, r.Notes)
	}
	for _, link := range links {
		if printable.CheckLink(link) != nil || !utf8.ValidString(link) || strings.ContainsRune(link, 0) {
			t.Fatalf("%q is taken for a URL", link)
		}
	}
	for platform := range r.Assets {
		if !platform.Known() {
			t.Fatalf("%v is taken for a platform", platform)
		}
	}
	if r.Date.Nanosecond() != 0 || r.Date.Location() != time.UTC {
		t.Fatalf("the date is %v", r.Date)
	}
}

// editable is a release as a body may tell it.
func editable(r catalog.Release) map[string]any {
	all := map[string]any{"notes": r.Notes, "prerelease": r.Prerelease}
	if d := formatTime(r.Date); d != nil {
		all["date"] = *d
	}
	assets := map[string]string{}
	for platform, url := range r.Assets {
		assets[platform.String()] = url
	}
	all["assets"] = assets
	return all
}
