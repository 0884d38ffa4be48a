package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
)

// TestReportErrors checks the error for each kind of invalid report, and that none is
// recorded.
func TestReportErrors(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v0.19.2"})
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	field := func(name, value string) string {
		fields := map[string]string{"id": `"` + sampleID + `"`, "version": `"0.12.3"`, "heap_usage_bytes": `"596000"`}
		fields[name] = value
		var members []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			members = append(members, `"`+name+`":`+fields[name])
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	id := func(s string) string { return field("id", `"`+s+`"`) }
	good := field("id", `"`+sampleID+`"`)
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		code   string
		field  string
	}{
		"empty body":              {body: "", status: 400, code: "invalid_json"},
		"not JSON":                {body: "id=1", status: 400, code: "invalid_json"},
		"truncated":               {body: good[:40], status: 400, code: "invalid_json"},
		"trailing data":           {body: good + "{}", status: 400, code: "invalid_json"},
		"trailing garbage":        {body: good + "x", status: 400, code: "invalid_json"},
		"null":                    {body: "null", status: 400, code: "invalid_json"},
		"array":                   {body: "[" + good + "]", status: 400, code: "invalid_json"},
		"string":                  {body: `"id"`, status: 400, code: "invalid_json"},
		"duplicate key":           {body: `{"id":"` + sampleID + `","id":"` + sampleID + `","version":"1.0.0"}`, status: 400, code: "invalid_json"},
		"duplicate key, escaped":  {body: `{"id":"` + sampleID + `","version":"1.0.0","\u0069d":"` + sampleID + `"}`, status: 400, code: "invalid_json"},
		"duplicate unknown key":   {body: good[:len(good)-1] + `,"x":{"a":1,"a":2}}`, status: 400, code: "invalid_json"},
		"deep nesting":            {body: good[:len(good)-1] + `,"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, status: 400, code: "invalid_json"},
		"deep nesting in a field": {body: field("id", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), status: 400, code: "invalid_field", field: "id"},
		"invalid UTF-8":           {body: good[:len(good)-1] + ",\"x\":\"\xff\"}", status: 400, code: "invalid_json"},
		"byte order mark":         {body: "\xef\xbb\xbf" + good, status: 400, code: "invalid_json"},
		"too large":               {body: good + strings.Repeat(" ", 16<<10), status: 413, code: "too_large"},
		"too large, chunked": {body: good + strings.Repeat(" ", 16<<10), change: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(r.Body), -1
		}, status: 413, code: "too_large"},
		"gzip":             {body: gzipped(good), change: with("Content-Encoding", "gzip"), status: 415, code: "unsupported_encoding"},
		"form":             {body: good, change: with("Content-Type", "application/x-www-form-urlencoded"), status: 415, code: "unsupported_type"},
		"text":             {body: good, change: with("Content-Type", "text/plain"), status: 415, code: "unsupported_type"},
		"another charset":  {body: good, change: with("Content-Type", "application/json; charset=utf-16"), status: 415, code: "unsupported_type"},
		"broken type":      {body: good, change: with("Content-Type", "application/json; ;"), status: 415, code: "unsupported_type"},
		"no id":            {body: `{"version":"1.0.0"}`, status: 400, code: "invalid_field", field: "id"},
		"no version":       {body: `{"id":"` + sampleID + `"}`, status: 400, code: "invalid_field", field: "version"},
		"keys in capitals": {body: `{"ID":"` + sampleID + `","Version":"1.0.0"}`, status: 400, code: "invalid_field", field: "id"},

		"id null":         {body: field("id", "null"), status: 400, code: "invalid_field", field: "id"},
		"id number":       {body: field("id", "4"), status: 400, code: "invalid_field", field: "id"},
		"id object":       {body: field("id", "{}"), status: 400, code: "invalid_field", field: "id"},
		"id empty":        {body: id(""), status: 400, code: "invalid_field", field: "id"},
		"id nil":          {body: id("00000000-0000-0000-0000-000000000000"), status: 400, code: "invalid_field", field: "id"},
		"id version 1":    {body: id("08c1d850-6065-178a-b9b5-a8f9f464ad33"), status: 400, code: "invalid_field", field: "id"},
		"id variant":      {body: id("08c1d850-6065-478a-79b5-a8f9f464ad33"), status: 400, code: "invalid_field", field: "id"},
		"id with braces":  {body: id("{" + sampleID + "}"), status: 400, code: "invalid_field", field: "id"},
		"id urn":          {body: id("urn:uuid:" + sampleID), status: 400, code: "invalid_field", field: "id"},
		"id bare":         {body: id(strings.ReplaceAll(sampleID, "-", "")), status: 400, code: "invalid_field", field: "id"},
		"id with a space": {body: id(sampleID[:35] + " "), status: 400, code: "invalid_field", field: "id"},
		"id not hex":      {body: id("g" + sampleID[1:]), status: 400, code: "invalid_field", field: "id"},

		"version null":      {body: field("version", "null"), status: 400, code: "invalid_field", field: "version"},
		"version number":    {body: field("version", "1.5"), status: 400, code: "invalid_field", field: "version"},
		"version empty":     {body: field("version", `""`), status: 400, code: "invalid_field", field: "version"},
		"version long":      {body: field("version", `"`+strings.Repeat("1", 81)+`"`), status: 400, code: "invalid_field", field: "version"},
		"version space":     {body: field("version", `"1.0 0"`), status: 400, code: "invalid_field", field: "version"},
		"version newline":   {body: field("version", `"1.0\n"`), status: 400, code: "invalid_field", field: "version"},
		"version NUL":       {body: field("version", `"1.0\u0000"`), status: 400, code: "invalid_field", field: "version"},
		"version markup":    {body: field("version", `"<script>"`), status: 400, code: "invalid_field", field: "version"},
		"version quote":     {body: field("version", `"1'; DROP TABLE report; --"`), status: 400, code: "invalid_field", field: "version"},
		"version formula":   {body: field("version", `"=1+1"`), status: 400, code: "invalid_field", field: "version"},
		"version not ASCII": {body: field("version", `"１.0"`), status: 400, code: "invalid_field", field: "version"},

		"heap bool":       {body: field("heap_usage_bytes", "true"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap array":      {body: field("heap_usage_bytes", "[1]"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap empty":      {body: field("heap_usage_bytes", `""`), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap negative":   {body: field("heap_usage_bytes", "-1"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap minus zero": {body: field("heap_usage_bytes", "-0"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap plus":       {body: field("heap_usage_bytes", `"+1"`), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap fraction":   {body: field("heap_usage_bytes", "1.0"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap exponent":   {body: field("heap_usage_bytes", "1e6"), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap hex":        {body: field("heap_usage_bytes", `"0x10"`), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap underscore": {body: field("heap_usage_bytes", `"1_000"`), status: 400, code: "invalid_field", field: "heap_usage_bytes"},
		"heap too large":  {body: field("heap_usage_bytes", `"9223372036854775808"`), status: 400, code: "invalid_field", field: "heap_usage_bytes"},

		"os number":         {body: field("os", "1"), status: 400, code: "invalid_field", field: "os"},
		"os object":         {body: field("os", "{}"), status: 400, code: "invalid_field", field: "os"},
		"os long":           {body: field("os", `"`+strings.Repeat("x", 65)+`"`), status: 400, code: "invalid_field", field: "os"},
		"arch bool":         {body: field("arch", "true"), status: 400, code: "invalid_field", field: "arch"},
		"arch array":        {body: field("arch", `["arm64"]`), status: 400, code: "invalid_field", field: "arch"},
		"arch long":         {body: field("arch", `"`+strings.Repeat("ä", 33)+`"`), status: 400, code: "invalid_field", field: "arch"},
		"duplicate os":      {body: `{"os":"linux",` + good[1:len(good)-1] + `,"os":"linux"}`, status: 400, code: "invalid_json"},
		"brotli":            {body: good, change: with("Content-Encoding", "br"), status: 415, code: "unsupported_encoding"},
		"identity and gzip": {body: good, change: with("Content-Encoding", "identity, gzip"), status: 415, code: "unsupported_encoding"},

		"unknown product": {body: good, change: func(r *http.Request) { r.URL.Path = "/p/none/v1/version" }, status: 404, code: "unknown_product"},
		"hostile product": {body: good, change: func(r *http.Request) { r.URL.Path = "/p/\x1b[31m<b>/v1/version" }, status: 404, code: "unknown_product"},
		"unknown path":    {body: good, change: func(r *http.Request) { r.URL.Path = "/v2/version" }, status: 404, code: "not_found"},
		"wrong method":    {change: func(r *http.Request) { r.Method = "GET" }, status: 405, code: "method_not_allowed"},
		"large header":    {body: good, change: with("X-Large", strings.Repeat("x", 9<<10)), status: 431, code: "headers_too_large"},
		"large host":      {body: good, change: func(r *http.Request) { r.Host = strings.Repeat("x", 9<<10) }, status: 431, code: "headers_too_large"},
		"large path":      {body: good, change: func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("x", 9<<10) }, status: 431, code: "headers_too_large"},
		"many headers": {body: good, change: func(r *http.Request) {
			for i := range 500 {
				r.Header.Set("X-"+strings.Repeat("h", 10)+string(rune('a'+i%26))+strings.Repeat("i", i/26), "v")
			}
		}, status: 431, code: "headers_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(c.body)
			if c.change != nil {
				c.change(r)
			}
			got := s.send(t, r)
			var body map[string]struct{ Code, Message, Field string }
			decoder := json.NewDecoder(strings.NewReader(got.body))
			if err := decoder.Decode(&body); err != nil || len(body) != 1 {
				t.Fatalf("got status %d and body %s (error %v), want an error object", got.StatusCode, got.body, err)
			}
			e := body["error"]
			if got.StatusCode != c.status || e.Code != c.code || e.Field != c.field || e.Message == "" {
				t.Errorf("got status %d and error %+v, want %d, code %s, field %q and a message", got.StatusCode, e, c.status, c.code, c.field)
			}
			if strings.Contains(got.body, "\x1b") || strings.Contains(got.body, "\xff") {
				t.Errorf("got body %q, want no control characters or invalid UTF-8", got.body)
			}
			if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("got headers %v, want JSON and nosniff", got.Header)
			}
			if got.Header.Get("Location") != "" {
				t.Errorf("got Location %q, want none", got.Header.Get("Location"))
			}
			if c.status == 405 && got.Header.Get("Allow") != "OPTIONS, POST" {
				t.Errorf("got Allow %q, want OPTIONS, POST", got.Header.Get("Allow"))
			}
		})
	}
	t.Cleanup(func() {
		if n := len(s.reports(t, "opa")); n != 0 {
			t.Errorf("got %d recorded reports, want 0", n)
		}
	})
}

// TestReportAccepted checks that unusual, but valid reports are recorded.
func TestReportAccepted(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v0.19.2"})
	rest := `"version":"1.0.0","id":"` + sampleID + `"`
	for name, body := range map[string]string{
		"no heap":            `{` + rest + `}`,
		"heap null":          `{` + rest + `,"heap_usage_bytes":null}`,
		"heap as a number":   `{` + rest + `,"heap_usage_bytes":596000}`,
		"heap zero":          `{` + rest + `,"heap_usage_bytes":"0"}`,
		"heap largest":       `{` + rest + `,"heap_usage_bytes":"9223372036854775807"}`,
		"heap leading zeros": `{` + rest + `,"heap_usage_bytes":"000596000"}`,
		"unknown keys":       `{"a":null,"b":[1,{"c":[true]}],` + rest + `,"min_compatible_version":{"x":"y"},"":1.5e300}`,
		"white space":        " \r\n\t{ " + rest + " } \n\n",
		"escaped key":        `{"\u0069d":"` + sampleID + `","version":"1.0.0"}`,
		"id in capitals":     `{"id":"` + strings.ToUpper(sampleID) + `","version":"1.0.0"}`,
		"all characters":     `{"id":"` + sampleID + `","version":"09AZaz.+_-"}`,
		"longest version":    `{"id":"` + sampleID + `","version":"` + strings.Repeat("z", 80) + `"}`,
	} {
		before := len(s.reports(t, "opa"))
		if got := s.send(t, report(body)); got.StatusCode != 200 {
			t.Errorf("%s: got status %d, want 200: %s", name, got.StatusCode, got.body)
		}
		all := s.reports(t, "opa")
		if len(all) != before+1 || all[before].ID.String() != sampleID {
			t.Errorf("%s: got new recorded reports %v, want 1 with the ID sent", name, all[before:])
		}
	}
	for _, encoding := range []string{"identity", "Identity"} {
		r := report(`{` + rest + `}`)
		r.Header.Set("Content-Encoding", encoding)
		if got := s.send(t, r); got.StatusCode != 200 {
			t.Errorf("Content-Encoding %q: got status %d, want 200: %s", encoding, got.StatusCode, got.body)
		}
	}
	for _, contentType := range []string{"", "application/json; charset=utf-8", "Application/JSON"} {
		r := report(`{` + rest + `}`)
		r.Header.Set("Content-Type", contentType)
		if got := s.send(t, r); got.StatusCode != 200 {
			t.Errorf("Content-Type %q: got status %d, want 200: %s", contentType, got.StatusCode, got.body)
		}
	}
}

// TestReportPlatform checks the platforms of recorded reports: the fields os and arch take
// precedence over the User-Agent.
func TestReportPlatform(t *testing.T) {
	s := newService(t)
	for _, test := range []struct{ agent, fields, want string }{
		{"app/1.0 (linux, amd64)", ``, "linux/amd64"},
		{"app/1.0 (Linux, x86_64)", ``, "linux/amd64"},
		{"app/1.0 (Windows_NT; AMD64)", ``, "windows/amd64"},
		{"app/1.0 darwin/arm64", ``, "darwin/arm64"},
		{"app/1.0 (amiga, m68k)", ``, "other/other"},
		{"curl/8.7.1", ``, "other/other"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)", ``, "other/other"},
		{"curl/8.7.1", `"os":"linux","arch":"amd64"`, "linux/amd64"},
		{"Mozilla/5.0 (X11; Linux x86_64)", `"os":"macOS","arch":"arm64"`, "darwin/arm64"},
		{"app/1.0 (linux, amd64)", `"arch":"AMD64","os":"Windows_NT"`, "windows/amd64"},
		{"app/1.0 (linux, amd64)", `"arch":"aarch64"`, "linux/arm64"},
		{"app/1.0 (linux, amd64)", `"os":null,"arch":null`, "linux/amd64"},
		{"app/1.0 (linux, amd64)", `"os":"","arch":""`, "linux/amd64"},
		{"app/1.0 (linux, amd64)", `"os":"amiga","arch":"m68k"`, "other/other"},
		{"app/1.0 (linux, amd64)", `"os":"\u0000","arch":"` + strings.Repeat("x", 64) + `"`, "other/other"},
		{"app/1.0 (linux, amd64)", `"os":"\u006cinux","arch":"x86_64"`, "linux/amd64"},
		// No field remains from the report before.
		{"app/1.0 (linux, amd64)", ``, "linux/amd64"},
	} {
		body := `{"id":"` + sampleID + `","version":"1.0.0"`
		if test.fields != "" {
			body += "," + test.fields
		}
		r := report(body + "}")
		r.Header.Set("User-Agent", test.agent)
		if got := s.send(t, r); got.StatusCode != 200 {
			t.Errorf("%s from %s: got status %d, want 200: %s", test.fields, test.agent, got.StatusCode, got.body)
			continue
		}
		all := s.reports(t, "opa")
		if got := all[len(all)-1].Platform.String(); got != test.want {
			t.Errorf("%s from %s: got platform %s, want %s", test.fields, test.agent, got, test.want)
		}
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}
