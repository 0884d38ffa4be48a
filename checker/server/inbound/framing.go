package inbound

import "net/http"

// CloseUnframed returns a handler that closes the connection after a request whose
// end could be read in two ways, so that no request hides in the body of another
// (RFC 9112, sections 6.1 and 11.2):
//   - a request with Transfer-Encoding: a proxy in front may have gone by its
//     Content-Length instead, or may not know the header.
//   - any request in HTTP/1.0: package net/http removes Transfer-Encoding from it
//     unread, so that nothing tells whether it had one.
func CloseUnframed(next http.Handler) http.Handler {
	closed := []string{"close"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header()["Connection"] = closed
		}
		next.ServeHTTP(w, r)
	})
}
