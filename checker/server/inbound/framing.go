package inbound

import "net/http"

// CloseAmbiguous returns a handler that closes the connection after a request whose end a
// proxy may see elsewhere, so that no request can hide in the body of another (RFC 9112,
// sections 6.1 and 11.2). These requests are ambiguous:
//   - a request with Transfer-Encoding, because a proxy may have used its Content-Length
//     instead, or may not know the header;
//   - any HTTP/1.0 request, because package net/http removes its Transfer-Encoding without
//     a trace.
func CloseAmbiguous(next http.Handler) http.Handler {
	closed := []string{"close"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header()["Connection"] = closed
		}
		next.ServeHTTP(w, r)
	})
}
