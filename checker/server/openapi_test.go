package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/klauspost/compress/gzip"

	"relcheck/checker/access"
)

// document is the description of the API, in which objects have no other members than the
// described ones.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	d, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	for _, s := range d.Components.Schemas {
		closeObjects(s)
	}
	return d, d.Validate(context.Background())
})

// closeObjects forbids further members of the objects in a schema.
func closeObjects(s *openapi3.SchemaRef) {
	if s == nil || s.Value == nil {
		return
	}
	if a := &s.Value.AdditionalProperties; a.Has == nil && a.Schema == nil && s.Value.Type.Is("object") {
		a.Has = new(bool)
	}
	for _, p := range s.Value.Properties {
		closeObjects(p)
	}
	closeObjects(s.Value.Items)
}

// described finds the operation of a request, with the values in its path.
var described = sync.OnceValues(func() (func(*http.Request) *openapi3filter.RequestValidationInput, error) {
	d, err := document()
	if err != nil {
		return nil, err
	}
	openapi3filter.RegisterBodyDecoder("application/atom+xml", openapi3filter.PlainBodyDecoder)
	mux := http.NewServeMux()
	type key struct{}
	for path, item := range d.Paths.Map() {
		for method, operation := range item.Operations() {
			route := &routers.Route{Spec: d, Path: path, PathItem: item, Method: method, Operation: operation}
			mux.HandleFunc(method+" "+muxPath(path), func(_ http.ResponseWriter, r *http.Request) {
				in := r.Context().Value(key{}).(*openapi3filter.RequestValidationInput)
				in.Route, in.PathParams = route, map[string]string{}
				for _, p := range item.Parameters {
					if p.Value.In == "path" {
						in.PathParams[p.Value.Name] = r.PathValue(p.Value.Name)
					}
				}
			})
		}
	}
	return func(r *http.Request) *openapi3filter.RequestValidationInput {
		in := &openapi3filter.RequestValidationInput{Request: r, Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, ExcludeResponseBody: r.Method == http.MethodHead}}
		if _, pattern := mux.Handler(r); pattern == "" || strings.Contains(pattern, "/files/") { // whose bytes are no document
			return nil
		}
		mux.ServeHTTP(nopWriter{}, r.WithContext(context.WithValue(r.Context(), key{}, in)))
		if in.Route == nil { // the mux has redirected the request
			return nil
		}
		return in
	}, nil
})

// muxPath returns a path of the document as a pattern of [http.ServeMux].
func muxPath(path string) string {
	return strings.Replace(path, "/files/{product}/{path}", "/files/{product}/{path...}", 1)
}

// nopWriter discards a response.
type nopWriter struct{}

func (nopWriter) Header() http.Header         { return http.Header{} }
func (nopWriter) WriteHeader(int)             {}
func (nopWriter) Write(b []byte) (int, error) { return len(b), nil }

// validated returns a handler that checks the requests and responses of the API against its
// description. A request that was refused need not be valid.
func validated(t *testing.T, next http.Handler) http.Handler {
	find, err := described()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := find(r)
		if in == nil {
			next.ServeHTTP(w, r)
			return
		}
		var sent bytes.Buffer
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &sent), r.Body}
		}
		answer := &recording{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		check(t, in, sent.Bytes(), answer)
	})
}

// recording is a response that is kept while it is sent.
type recording struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recording) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recording) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recording) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

// check compares a request and its response with the description.
func check(t *testing.T, in *openapi3filter.RequestValidationInput, sent []byte, answer *recording) {
	r := in.Request.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(sent))
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json") // which is the default
	}
	in.Request = r
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil && answer.status < 400 {
		t.Errorf("%s %s was answered with %d, but is not as described: %v\n%.500s", r.Method, r.URL, answer.status, err, sent)
	}
	body, header := answer.body.Bytes(), answer.Header().Clone()
	if header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		header.Del("Content-Encoding")
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: answer.status, Header: header, Options: in.Options}
	if err := openapi3filter.ValidateResponse(r.Context(), out.SetBodyBytes(body)); err != nil {
		t.Errorf("the answer to %s %s is not as described: %v\n%.500s", r.Method, r.URL, err, body)
	}
}

// isPage reports whether a pattern is that of a page or of its parts.
func isPage(pattern string) bool {
	_, path, _ := strings.Cut(pattern, " ")
	return path == "/{$}" || slices.ContainsFunc([]string{"/connect", "/privacy", "/docs", "/assets/", "/manage", "/products/", "/sign-"}, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// TestDescription checks that the description of the API has all routes except pages, and no
// others.
func TestDescription(t *testing.T) {
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for path, item := range d.Paths.Map() {
		for method := range item.Operations() {
			got = append(got, method+" "+muxPath(path))
		}
	}
	for _, pattern := range newService(t).handler.Patterns() {
		if !isPage(pattern) && pattern != "GET /files/{product}" {
			want = append(want, pattern)
		}
	}
	for _, pattern := range want {
		if !slices.Contains(got, pattern) {
			t.Errorf("openapi.yaml lacks %s", pattern)
		}
	}
	for _, pattern := range got {
		if !slices.Contains(want, pattern) {
			t.Errorf("openapi.yaml describes %s, which does not exist", pattern)
		}
	}
}

// TestExamples checks that the service accepts the examples of the description.
func TestExamples(t *testing.T) {
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t)
	_, token := s.tokenOf(t, access.Admin)
	for path, item := range d.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			example := operation.RequestBody.Value.Content.Get("application/json").Example
			text, err := json.Marshal(example)
			if err != nil || example == nil {
				t.Errorf("%s %s: got example %v (error %v), want one", method, path, example, err)
				continue
			}
			_, path := sample(method + " " + strings.ReplaceAll(path, "{version}", "v1.0.0"))
			if got := s.edit(t, token, method, path, string(text)); got[:1] != "2" {
				t.Errorf("%s %s %s: got %s, want a status of 2xx", method, path, text, got)
			}
		}
	}
}

// TestServeDescription checks that the service serves its description.
func TestServeDescription(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t)
	res, err := http.Get(s.URL + "/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || string(got) != string(text) || res.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("got %d bytes of %s, want the %d bytes of openapi.yaml (%v)", len(got), res.Header.Get("Content-Type"), len(text), err)
	}
}
