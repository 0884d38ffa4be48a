package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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

// FuzzCookie tries cookies. None lets in but those that were given out, and these
// no longer than they say.
func FuzzCookie(f *testing.F) {
	ours, now := sessions{[]byte("a key that nobody knows")}, time.Unix(1_795_000_000, 0)
	given := map[string]string{}
	for id, until := range map[string]time.Time{"aaaaaaaa": now.Add(time.Hour), "bbbbbbbb": now.Add(-time.Hour), "cccccccc": now} {
		c := ours.cookie(id, until)
		if until.After(now) {
			given[c] = id
		}
		f.Add(c)
		f.Add(strings.Replace(c, ".", "..", 1))
	}
	for _, s := range []string{"", ".", "..", "a.9223372036854775808.", "a.1795003600." + strings.Repeat("A", 43), "a.b.c=", "a.1e99.\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		if id := ours.read(cookie, now); id != given[cookie] {
			t.Errorf("%q lets in %q, want %q", cookie, id, given[cookie])
		}
	})
}
