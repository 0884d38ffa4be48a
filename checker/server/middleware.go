package server

import (
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"relcheck/checker/server/inbound"
)

// maxHeaders is how many bytes of request line and header fields a request may
// have. The HTTP server has to allow more for the caller to get a JSON error;
// beyond that it answers 431 itself, in plain text.
const maxHeaders = 8 << 10

type middleware func(http.Handler) http.Handler

// chain puts middleware around h; the first is outermost.
func chain(h http.Handler, all ...middleware) http.Handler {
	for _, m := range slices.Backward(all) {
		h = m(h)
	}
	return h
}

// requireTLS has browsers that came over TLS come that way only, for half a year.
func requireTLS(next http.Handler) http.Handler {
	strict := []string{"max-age=15552000"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
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

func limitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(r.RequestURI) + len(r.Host)
		for name, values := range r.Header {
			for _, v := range values {
				n += len(name) + len(v) + len(": \r\n")
			}
		}
		if n > maxHeaders {
			writeError(w, fail(http.StatusRequestHeaderFieldsTooLarge, "headers_too_large", "", "the request's headers are larger than 8 KB; send fewer"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// jsonErrors answers requests that no route of mux takes: the mux would do it
// in plain text. People get a page.
func (s *Server) jsonErrors(mux *http.ServeMux) middleware {
	page := s.page(notFound)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refusal, pattern := mux.Handler(r)
			if pattern != "" {
				next.ServeHTTP(w, r)
				return
			}
			probe := &statusProbe{header: http.Header{}}
			refusal.ServeHTTP(probe, r)
			s.metrics.unrouted.add(probe.status)
			if probe.status == http.StatusMethodNotAllowed {
				allow := probe.header.Get("Allow")
				w.Header().Set("Allow", allow)
				writeError(w, fail(probe.status, "method_not_allowed", "", "use one of the methods: "+allow))
				return
			}
			var id identity
			if wantsPage(r) {
				id = s.identify(r)
			}
			if err := page(w, r, id); err != nil {
				writeError(w, failureOf(err))
			}
		})
	}
}

func notFound(http.ResponseWriter, *http.Request, identity) error {
	return fail(http.StatusNotFound, "not_found", "", "there is nothing at this path; reports go to POST /v1/version or /p/PRODUCT/v1/version")
}

// statusProbe takes down how the mux refuses a request, and drops the body.
type statusProbe struct {
	header http.Header
	status int
}

func (r *statusProbe) Header() http.Header         { return r.header }
func (r *statusProbe) WriteHeader(status int)      { r.status = status }
func (r *statusProbe) Write(b []byte) (int, error) { return len(b), nil }

// recoverPanics keeps one request's bug from ending the process.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("a request handler panicked", "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				writeError(w, internal())
			}
		}()
		next.ServeHTTP(w, r)
	})
}
