package simulate

import (
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
)

// Request is an HTTP request to send.
type Request struct {
	Bytes []byte       // wire format; valid until the next request is generated
	Build rollup.Build // the build that the request reports; zero if it reports none
	ID    uuid.UUID    // instance ID of a report; uuid.Nil for a check
	// Number identifies the instance. Numbers start at 0 and have no large gaps, so that
	// a bitmap can hold them.
	Number int64
}

const (
	// releaseDays is the number of days over which releases are generated: see [fleet.Fleet].
	releaseDays = 400
	// reportInterval is how long a simulated server waits between two reports. An
	// instance then sends about 1.5 reports a day, and nearly all instances report
	// every day.
	reportInterval = 12 * time.Hour
	// fleetDays is how many days of a fleet are sent before another fleet replaces it.
	// The instances of a fleet that lived longer would all end up with the latest release.
	fleetDays = 7
	// releaseAge is the age of the newest release, in days, at the end of a fleet's days.
	releaseAge = 14
)

// Releases generates the releases of a product, up to a day. The same seed produces
// the same versions on any day.
func Releases(seed uint64, end rollup.Day) []catalog.Release {
	return fleet.Fleet{Seed: seed, Days: releaseDays, End: end}.Releases()
}

// Fleet returns a fleet without growth. About the given number of its instances report
// each day, and they run the published releases.
func Fleet(seed uint64, instances int, published []catalog.Release) fleet.Fleet {
	return fleet.Fleet{Seed: seed, Instances: instances, Growth: 1, Every: reportInterval, Published: published}
}

// Reports generates the reports of a fleet to a service, without end. The times of the
// reports in the fleet determine only their order. If published is empty, the releases
// are generated as well.
func Reports(seed uint64, instances int, published []catalog.Release, product string, service *url.URL) iter.Seq[Request] {
	if len(published) == 0 {
		published = Releases(seed, fleet.Fleet{}.Range().To)
	}
	f := Fleet(seed, instances, published)
	f.Days = fleetDays
	for _, r := range published {
		f.End = max(f.End, rollup.DayOf(r.Date)+releaseAge) // not today: the order must not depend on the day
	}
	e := newEncoder(product, service)
	return func(yield func(Request) bool) {
		for first, next := int64(0), int64(0); ; first, f.Seed = next, f.Seed+1<<32 {
			for r := range f.Reports() {
				number := first + r.Number
				next = max(next, number+1)
				if !yield(Request{e.encode(r), r.Build, r.ID, number}) {
					return
				}
			}
		}
	}
}

// encoder encodes reports as Open Policy Agent v0.70.0 sends them.
type encoder struct {
	prefix       string // of a request, up to the value of User-Agent
	agent        string // product name in User-Agent
	buffer, body []byte
}

func newEncoder(product string, service *url.URL) *encoder {
	agent, path := product, strings.TrimRight(service.EscapedPath(), "/")
	if product == "opa" {
		agent = "Open Policy Agent"
	} else if !strings.HasSuffix(path, "/p/"+product) {
		path += "/p/" + product
	}
	return &encoder{agent: agent, prefix: fmt.Sprintf("POST %s/v1/version HTTP/1.1\r\nHost: %s\r\nUser-Agent: ", path, service.Host)}
}

// encode returns a request that is valid until the next call.
func (e *encoder) encode(r fleet.Report) []byte {
	body := append(e.body[:0], '{')
	if r.Heap != nil {
		body = append(body, `"heap_usage_bytes":"`...)
		body = append(strconv.AppendInt(body, *r.Heap, 10), `",`...)
	}
	body = append(body, `"id":"`...)
	body = append(body, r.ID.String()...)
	body = append(body, `","version":"`...)
	body = append(body, r.Build.Version...)
	e.body = append(body, "\"}\n"...)

	b := append(e.buffer[:0], e.prefix...)
	b = append(b, checker.UserAgent(e.agent, r.Build.Version, r.Build.Platform)...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(e.body)), 10)
	b = append(b, "\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"...)
	e.buffer = append(b, e.body...)
	return e.buffer
}
