package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"relcheck/checker/catalog"
	"relcheck/checker/server/inbound"
)

const (
	maxCached      = 8 << 20   // bytes of answers in a generation of the cache
	maxCachedCount = 10_000    // answers in it
	maxKept        = 256 << 10 // bytes of an answer that is kept
)

// answer is a complete answer to a client.
type answer struct {
	status int
	header http.Header // the keys are in the canonical form; without ETag
	body   []byte
	etag   string // in quotes, or empty
	keep   bool   // for requests with the same key
}

// newAnswer returns an answer with status 200 that can be kept.
func newAnswer(contentType []string, body []byte) *answer {
	sum := sha256.Sum256(body)
	return &answer{http.StatusOK, http.Header{"Content-Type": contentType}, body, `"` + hex.EncodeToString(sum[:8]) + `"`, true}
}

// answerKey is what an answer depends on, besides the snapshot.
type answerKey struct {
	entry   *entry
	channel *channel
	latest  *catalog.Ranked // what the client is offered
	base    string          // what links begin with
	rest    string          // the path and variables that the entry uses
}

// answerCache holds the answers of a snapshot. They are never invalidated, because each
// change of what they depend on makes another snapshot. If the generation fresh is full,
// it replaces old.
type answerCache struct {
	mu         sync.RWMutex
	fresh, old map[answerKey]*answer
	size       int // of fresh, in bytes
}

func newAnswerCache() *answerCache { return &answerCache{fresh: map[answerKey]*answer{}} }

func (c *answerCache) get(k answerKey) *answer {
	c.mu.RLock()
	a, old := c.fresh[k], false
	if a == nil {
		a, old = c.old[k], true
	}
	c.mu.RUnlock()
	if a != nil && old {
		c.put(k, a)
	}
	return a
}

func (c *answerCache) put(k answerKey, a *answer) {
	if !a.keep || len(a.body) > maxKept {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size > maxCached || len(c.fresh) >= maxCachedCount {
		c.old, c.fresh, c.size = c.fresh, map[answerKey]*answer{}, 0
	}
	c.fresh[k] = a
	c.size += len(a.body) + len(k.base) + len(k.rest) + 200
}

// answer answers a request from the cache, or with what make returns. Requests take turns to
// make answers.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *call, k answerKey, make func() (*answer, error)) error {
	a := c.snap.answers.get(k)
	if a == nil {
		if err := s.encoding.take(r.Context(), func() (err error) {
			a, err = make()
			return err
		}); err != nil {
			return err
		}
		c.snap.answers.put(k, a)
	}
	if len(a.body) > maxKept {
		if err := reserve(r, a.body); err != nil {
			return err
		}
	}
	a.send(w, r)
	return nil
}

var noCache = []string{"no-cache"}

// send sends the answer, or status 304 to a client that has it. Only a client that asks for
// 304 gets it: others take it for an error.
func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Cache-Control"] = noCache
	if a.etag != "" {
		h["Etag"] = []string{a.etag}
		if known := r.Header["If-None-Match"]; len(known) > 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) && matches(known, a.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	for name, values := range a.header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	inbound.WriteBody(r.Context(), w, a.body)
}

// matches reports whether one of the values of If-None-Match is an ETag, which is strong.
func matches(known []string, etag string) bool {
	for _, list := range known {
		for known := range strings.SplitSeq(list, ",") {
			if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == etag {
				return true
			}
		}
	}
	return false
}
