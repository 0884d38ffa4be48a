package server

import (
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"relcheck/checker/server/inbound"
)

// maxHeaders is the maximum size of request line and header fields, in bytes. The HTTP
// server has to allow more so that clients get a JSON error; beyond its own limit it
// answers 431 in plain text.
const maxHeaders = 8 << 10

// requireTLS makes browsers that use TLS use nothing else for half a year. Declared hosts
// belong to others, which answer on them again one day.
func (s *Server) requireTLS(next http.Handler) http.Handler {
	strict := []string{"max-age=15552000"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && (s.host == "" || s.snapshot.Load().directory.host(r.Host) == nil) {
			w.Header()["Strict-Transport-Security"] = strict
		}
		next.ServeHTTP(w, r)
	})
}

// requestBody marks its request as received when it has been read to its end.
type requestBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		inbound.Received(b.ctx)
	}
	return n, err
}

// requestBodies are reused because each report needs one.
var requestBodies = sync.Pool{New: func() any { return new(requestBody) }}

// markReceived marks requests as received: those without a body at once, the others when
// their body has been read.
func markReceived(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == http.NoBody || r.Body == nil {
			inbound.Received(r.Context())
			next.ServeHTTP(w, r)
			return
		}
		b := requestBodies.Get().(*requestBody)
		*b = requestBody{r.Body, r.Context()}
		r.Body = b
		next.ServeHTTP(w, r)
		r.Body, *b = b.ReadCloser, requestBody{}
		requestBodies.Put(b)
	})
}

func (s *Server) limitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(r.RequestURI) + len(r.Host)
		for name, values := range r.Header {
			for _, v := range values {
				n += len(name) + len(v) + len(": \r\n")
			}
		}
		if n > maxHeaders {
			s.sendError(w, r, identity{}, fail(http.StatusRequestHeaderFieldsTooLarge, "headers_too_large", "", "the headers are larger than 8 KB; send fewer"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuseUnmatched answers requests that match no route of mux, which would answer in plain text.
func (s *Server) refuseUnmatched(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal, _ := mux.Handler(r)
		probe := &statusProbe{header: http.Header{}}
		refusal.ServeHTTP(probe, r)
		s.metrics.unrouted.add(probe.status)
		err := notFound(r)
		if probe.status == http.StatusMethodNotAllowed {
			allow := probe.header.Get("Allow")
			w.Header().Set("Allow", allow)
			err = wrongMethod(allow)
		}
		s.refuseRequest(w, r, err)
	})
}

// statusProbe records how the mux refuses a request, without the body.
type statusProbe struct {
	header http.Header
	status int
}

func (r *statusProbe) Header() http.Header         { return r.header }
func (r *statusProbe) WriteHeader(status int)      { r.status = status }
func (r *statusProbe) Write(b []byte) (int, error) { return len(b), nil }

// recoverPanics logs a panic of a handler and answers with an error.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				panic(p) // closes the connection, so that the client notices that the response is incomplete
			} else if p != nil {
				s.log.Error("request handler panicked", "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				s.sendError(w, r, identity{}, internal())
			}
		}()
		next.ServeHTTP(w, r)
	})
}
