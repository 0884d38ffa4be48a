package server

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"relcheck/checker/catalog"
	"relcheck/checker/server/inbound"
)

const (
	maxCached      = 8 << 20 // bytes of answers in a generation of the cache
	maxCachedCount = 10_000  // answers in it
	maxKept        = 1 << 20 // bytes of an answer that is kept
)

// answer is a complete answer to a client.
type answer struct {
	status int
	header http.Header // the keys are in the canonical form
	body   []byte
	keep   bool // for requests with the same key
}

// newAnswer returns an answer that can be kept. It completes the headers.
func newAnswer(status int, h http.Header, body []byte) *answer {
	h["Cache-Control"], h["X-Content-Type-Options"], h["Content-Length"] = noCache, noSniff, []string{strconv.Itoa(len(body))}
	if status == http.StatusOK {
		sum := sha256.Sum256(body)
		h["Etag"] = []string{`"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return &answer{status, h, body, true}
}

// newJSON returns an answer of JSON.
func newJSON(body []byte) *answer {
	return newAnswer(http.StatusOK, http.Header{"Content-Type": jsonType}, body)
}

// answerKey is what an answer depends on, besides the snapshot.
type answerKey struct {
	entry   *entry
	channel *channel
	latest  *catalog.Ranked // what the client is offered
	base    string          // what links begin with
	rest    string          // the path and variables that the entry uses
	gzipped bool
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
	if a := c.snap.answers.get(k); a != nil {
		return a.send(w, r)
	}
	return s.makeAnswer(w, r, c, k, make)
}

// makeAnswer answers a request with what make returns.
func (s *Server) makeAnswer(w http.ResponseWriter, r *http.Request, c *call, k answerKey, make func() (*answer, error)) (err error) {
	var a *answer
	if err = s.encoding.take(r.Context(), func() error {
		a, err = make()
		return err
	}); err != nil {
		return err
	}
	c.snap.answers.put(k, a)
	return a.send(w, r)
}

var noCache = []string{"no-cache"}

// send sends the answer, or status 304 to a client that has it. It reserves memory for cached
// bodies, too, because the next snapshot has others.
func (a *answer) send(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	if a.isKnown(r) {
		h["Cache-Control"], h["Etag"] = noCache, a.header["Etag"]
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := reserve(r, a.body); err != nil {
		return err
	}
	maps.Copy(h, a.header)
	w.WriteHeader(a.status)
	inbound.WriteBody(r.Context(), w, a.body)
	return nil
}

// isKnown reports whether the client has the answer, by its strong ETag. Only a client that asks
// for status 304 may get it: others take it for an error.
func (a *answer) isKnown(r *http.Request) bool {
	known, etag := r.Header["If-None-Match"], a.header["Etag"]
	if len(known) == 0 || len(etag) == 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, list := range known {
		for known := range strings.SplitSeq(list, ",") {
			if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == etag[0] {
				return true
			}
		}
	}
	return false
}
