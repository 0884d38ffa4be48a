package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
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
		`{"id":"08c1d850-6065-478a-b9b5-a8f9f464ad33","version":"1","heap_usage_bytes":null,"os":"Windows_NT","arch":"AMD64"}`,
		`{"id":"\u0030","id":""}`, `null`, `[[[[`, "{\"\xff\":1}", ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, p, err := readReport(httptest.NewRequest("POST", "/v1/version", bytes.NewReader(body)))
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
		if p != checker.Other && !p.Known() {
			t.Fatalf("%q: got platform %v", body, p)
		}
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		decoded, _, err := readReport(httptest.NewRequest("POST", "/v1/version", bytes.NewReader(encoded)))
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
			l := e.Apply(catalog.Layer{})
			checkLayer(t, l)
			e, err := readRelease(request(encode(editable(l))))
			if diff := cmp.Diff(l, e.Apply(catalog.Layer{})); err != nil || diff != "" {
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

// checkLayer checks that a layer can be shown and stored.
func checkLayer(t *testing.T, l catalog.Layer) {
	t.Helper()
	if err := l.Check(); err != nil {
		t.Fatalf("got an invalid layer: %v", err)
	}
	var links []string
	if l.Notes != nil && *l.Notes != "" {
		links = append(links, *l.Notes)
	}
	if l.Title != nil && printable.Check(*l.Title) != nil {
		t.Fatalf("got title %q, want printable text", *l.Title)
	}
	for _, f := range l.Files {
		if f.URL != "" {
			links = append(links, f.URL)
		}
		if f.Platform != (checker.Platform{}) && !f.Platform.Known() {
			t.Fatalf("got platform %v, want a known one", f.Platform)
		}
		if printable.Check(f.Name+f.MediaType) != nil || strings.Contains(f.Name, "/") {
			t.Fatalf("got file %+v, want printable fields", f)
		}
	}
	for _, link := range links {
		if printable.CheckLink(link) != nil || !utf8.ValidString(link) || strings.ContainsRune(link, 0) {
			t.Fatalf("got link %q, want a valid URL", link)
		}
	}
	if l.Published != nil && (l.Published.Nanosecond() != 0 || l.Published.Location() != time.UTC) {
		t.Fatalf("got date %v, want full seconds in UTC", l.Published)
	}
}

// editable returns the body of a request that creates a layer.
func editable(l catalog.Layer) map[string]any {
	fields := map[string]any{}
	set(fields, "title", l.Title)
	set(fields, "notes", l.Notes)
	set(fields, "body", l.Text)
	set(fields, "prerelease", l.Prerelease)
	set(fields, "withdrawn", l.Withdrawn)
	if l.Published != nil {
		fields["date"] = l.Published.Format(time.RFC3339)
	}
	assets, ofAssets, files := map[string]*string{}, []patchFile{}, []patchFile{}
	for _, f := range l.Files {
		switch {
		case f.Platform == (checker.Platform{}):
			files = append(files, patchFile{f.Name, f.URL, f.Size, f.SHA256, f.SHA512, f.MediaType})
			continue
		case f.Size > 0 || f.SHA256+f.SHA512+f.MediaType != "":
			ofAssets = append(ofAssets, patchFile{f.Name, "", f.Size, f.SHA256, f.SHA512, f.MediaType})
		}
		assets[f.Platform.String()] = nullIfEmpty(f.URL)
	}
	fields["assets"], fields["files"] = assets, append(ofAssets, files...)
	return fields
}

func set[T any](fields map[string]any, name string, value *T) {
	if value != nil {
		fields[name] = *value
	}
}
