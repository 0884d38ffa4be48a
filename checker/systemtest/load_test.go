package systemtest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/simulate"
)

// waitTimeout is how long tests wait for a response or an event on a busy machine.
const waitTimeout = time.Minute

// acknowledged collects the instance IDs of reports that were answered with 200.
type acknowledged struct {
	sync.Mutex
	ids map[uuid.UUID]bool
}

func (a *acknowledged) add(id uuid.UUID) {
	a.Lock()
	defer a.Unlock()
	if a.ids == nil {
		a.ids = map[uuid.UUID]bool{}
	}
	a.ids[id] = true
}

// snapshot returns the reports acknowledged so far.
func (a *acknowledged) snapshot() map[uuid.UUID]bool {
	a.Lock()
	defer a.Unlock()
	return maps.Clone(a.ids)
}

// await waits until n reports are acknowledged.
func (a *acknowledged) await(t testing.TB, n int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d acknowledged reports", n), func() bool {
		a.Lock()
		defer a.Unlock()
		return len(a.ids) >= n
	})
}

// wantRecordedOnce checks that an export contains each acknowledged report once.
func (a *acknowledged) wantRecordedOnce(t testing.TB, exported map[uuid.UUID]int) {
	t.Helper()
	for id := range a.ids {
		if exported[id] != 1 {
			t.Errorf("acknowledged report of %s: got %d in the export, want 1", id, exported[id])
		}
	}
}

// newLoad returns a load of OPA v0.70.0's report over a number of connections, each time
// with a new instance ID.
func newLoad(t testing.TB, addr string, connections int, recorded func(uuid.UUID)) simulate.Load {
	t.Helper()
	return loadOf(t, addr, captured(t, "opa-v0.70.0"), connections, recorded)
}

// captured returns a captured request of a real client.
func captured(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile("../server/testdata/captures/" + name + ".http")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// loadOf returns a load that repeats one request.
func loadOf(t testing.TB, addr, raw string, connections int, recorded func(uuid.UUID)) simulate.Load {
	t.Helper()
	c, err := simulate.ReadCapture(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	service := &url.URL{Scheme: "http", Host: addr}
	return simulate.Load{
		Service: service, Connections: connections, Duration: time.Hour, Timeout: waitTimeout, OnRecorded: recorded,
		Requests: simulate.Replay([]simulate.Capture{c}, rand.Uint64(), math.MaxInt, service),
	}
}

// sendUntil sends until ctx is done, and returns the number of responses that do not
// record a report. A killed server does not respond.
func sendUntil(ctx context.Context, l simulate.Load) (bad int64) {
	r, err := l.Run(ctx)
	if err != nil {
		return 0
	}
	return r.Sent - r.Failed - r.GivenUp - r.Recorded
}
