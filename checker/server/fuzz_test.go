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

// FuzzReport compares the decoder of reports with the standard library's: an accepted
// body must be JSON for both, and its values must be valid.
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
				t.Fatalf("%q: got error %v, want a status from 400 to 499 and a message", body, err)
			}
			return
		}
		var std struct{ ID, Version string }
		if err := json.Unmarshal(body, &std); err != nil || !utf8.Valid(body) {
			t.Fatalf("%q is accepted, but is not JSON: %v", body, err)
		}
		if r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 || !checker.ValidVersion(r.Version) || r.HeapUsageBytes != nil && *r.HeapUsageBytes < 0 {
			t.Fatalf("%q: got invalid report %+v", body, r)
		}
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := readReport(httptest.NewRequest("POST", "/v1/version", bytes.NewReader(encoded)))
		if err != nil || decoded.ID != r.ID || decoded.Version != r.Version || (decoded.HeapUsageBytes == nil) != (r.HeapUsageBytes == nil) {
			t.Fatalf("decode %s: got %+v (error %v), want %+v", encoded, decoded, err, r)
		}
	})
}

// FuzzEdit decodes bodies as changes of a release and of a product. An accepted body must
// be JSON for the standard library too, and its result must be valid. Encoded and decoded
// again, it must be the same. The seed corpus is in testdata.
func FuzzEdit(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		request := func(body []byte) *http.Request {
			return httptest.NewRequest("PUT", "/api/v1/products/opa", bytes.NewReader(body))
		}
		rejected := func(err error) bool {
			if e := (*failure)(nil); err != nil && (!errors.As(err, &e) || e.status < 400 || e.status > 499 || e.message == "") {
				t.Fatalf("%q: got error %v, want a status from 400 to 499 and a message", body, err)
			}
			if err == nil && (!json.Valid(body) || !utf8.Valid(body)) {
				t.Fatalf("%q is accepted, but is not JSON", body)
			}
			return err != nil
		}
		if e, err := readRelease(request(body)); !rejected(err) {
			r := e.Apply(catalog.Release{Version: "v1.0.0"})
			checkRelease(t, r)
			e, err := readRelease(request(encode(editable(r))))
			if diff := cmp.Diff(r, e.Apply(catalog.Release{Version: "v1.0.0"})); err != nil || diff != "" {
				t.Fatalf("%q: decoded again: error %v, -first +again:\n%s", body, err, diff)
			}
		}
		if e, err := readProduct(request(body)); !rejected(err) {
			p, err := e.Apply(catalog.Product{Name: "app"})
			if err == nil && (catalog.CheckProduct(p) != nil || p.Title == "") {
				t.Fatalf("%q: got invalid product %+v", body, p)
			}
			rejected(invalidField(err))
		}
	})
}

// checkRelease checks that a release can be shown and stored.
func checkRelease(t *testing.T, r catalog.Release) {
	t.Helper()
	links := slices.Collect(maps.Values(r.Assets))
	if r.Notes != "" {
		links = append(links, r.Notes)
	}
	for _, link := range links {
		if printable.CheckLink(link) != nil || !utf8.ValidString(link) || strings.ContainsRune(link, 0) {
			t.Fatalf("got link %q, want a valid URL", link)
		}
	}
	for platform := range r.Assets {
		if !platform.Known() {
			t.Fatalf("got platform %v, want a known one", platform)
		}
	}
	if r.Date.Nanosecond() != 0 || r.Date.Location() != time.UTC {
		t.Fatalf("got date %v, want full seconds in UTC", r.Date)
	}
}

// editable returns the body of a request that creates a release.
func editable(r catalog.Release) map[string]any {
	fields := map[string]any{"notes": r.Notes, "prerelease": r.Prerelease}
	if d := formatTime(r.Date); d != nil {
		fields["date"] = *d
	}
	assets := map[string]string{}
	for platform, url := range r.Assets {
		assets[platform.String()] = url
	}
	fields["assets"] = assets
	return fields
}
