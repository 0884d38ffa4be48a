package server

import "net/http"

var anyOrigin = []string{"*"}

// allowAnyOrigin lets web pages of any origin read the answers of h. Only routes whose
// answers do not depend on credentials use it.
func allowAnyOrigin(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		w.Header()["Access-Control-Allow-Origin"] = anyOrigin
		return h(w, r, id)
	}
}

// preflight answers the OPTIONS request that browsers send before that of a web page.
func preflight(methods string) handler {
	return allowAnyOrigin(func(w http.ResponseWriter, _ *http.Request, _ identity) error {
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, User-Agent, X-GitHub-Api-Version")
		h.Set("Access-Control-Max-Age", "86400")
		h.Set("Allow", methods+", OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
