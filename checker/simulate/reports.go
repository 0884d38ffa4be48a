package simulate

import (
	"encoding/hex"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
)

// Request is one that is to be sent.
type Request struct {
	Bytes []byte      // as they go over the wire; good until the next request is made
	Build stats.Build // what it is counted under; empty where it does not tell
	ID    uuid.UUID   // that it reports, or uuid.Nil if it asks without one
	// Number tells ids apart: they have numbers from 0 up, without large gaps.
	Number int64
}

const (
	// history is over how many days releases are made up: see [fleet.Fleet].
	history = 400
	// every is how long a simulated server waits between two reports. A day of
	// a fleet is then about 1.5 reports an instance, and nearly all report in it.
	every = 12 * time.Hour
	// week is how many days of a fleet are sent before another one takes its place:
	// one that lived on would end up with nothing but the latest release.
	week = 7
	// lag is how many days old the newest release is when requests are made up.
	lag = 14
)

// Releases makes up what a product has released by a day: the same versions for
// the same seed, whatever the day is.
func Releases(seed uint64, end stats.Day) []checker.Release {
	return fleet.Fleet{Seed: seed, Days: history, End: end}.Releases()
}

// Fleet is one of about so many instances that report on a day and run what has
// been published. It has no growth.
func Fleet(seed uint64, instances int, published []checker.Release) fleet.Fleet {
	return fleet.Fleet{Seed: seed, Instances: instances, Growth: 1, Every: every, Published: published}
}

// Reports makes up the reports of a fleet to a service, without end. Those of a
// day are sent however long that takes. Without releases some are made up.
func Reports(seed uint64, instances int, published []checker.Release, product string, service *url.URL) iter.Seq[Request] {
	if len(published) == 0 {
		published = Releases(seed, fleet.Fleet{}.Range().To)
	}
	f := Fleet(seed, instances, published)
	f.Days = week
	for _, r := range published {
		f.End = max(f.End, stats.DayOf(r.Date)+lag) // and not today: it is the same order tomorrow
	}
	w := newWire(product, service)
	return func(yield func(Request) bool) {
		for first, next := int64(0), int64(0); ; first, f.Seed = next, f.Seed+1<<32 {
			for r := range f.Reports() {
				number := first + r.Number
				next = max(next, number+1)
				if !yield(Request{w.report(r), r.Build, r.ID, number}) {
					return
				}
			}
		}
	}
}

// wire writes reports as Open Policy Agent v0.70.0 sends them.
type wire struct {
	head, title  string
	buffer, body []byte
}

func newWire(product string, service *url.URL) *wire {
	title, path := product, strings.TrimRight(service.EscapedPath(), "/")
	if product == "opa" {
		title = "Open Policy Agent"
	} else if !strings.HasSuffix(path, "/p/"+product) {
		path += "/p/" + product
	}
	return &wire{title: title, head: fmt.Sprintf("POST %s/v1/version HTTP/1.1\r\nHost: %s\r\nUser-Agent: ", path, service.Host)}
}

func (w *wire) report(r fleet.Report) []byte {
	body := append(w.body[:0], '{')
	if r.Heap != nil {
		body = append(body, `"heap_usage_bytes":"`...)
		body = append(strconv.AppendInt(body, *r.Heap, 10), `",`...)
	}
	body = append(body, `"id":"`...)
	body = appendID(body, r.ID)
	body = append(body, `","version":"`...)
	body = append(body, r.Build.Version...)
	w.body = append(body, "\"}\n"...)

	b := append(w.buffer[:0], w.head...)
	b = append(b, checker.UserAgent(w.title, r.Build.Version, r.Build.Platform)...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"...)
	w.buffer = append(b, w.body...)
	return w.buffer
}

// appendID appends the 36 characters of an id.
func appendID(b []byte, id uuid.UUID) []byte {
	b = append(hex.AppendEncode(b, id[0:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:16])
}
