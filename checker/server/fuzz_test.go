package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"relcheck/checker"
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
