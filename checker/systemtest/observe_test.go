package systemtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// times are how long answers took.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// p99 is within which time 99 % of the answers came.
func (t *times) p99() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.all)
	if len(t.all) == 0 {
		return time.Hour
	}
	return t.all[len(t.all)*99/100].Round(10 * time.Microsecond)
}

// latencies is how long two ordinary callers have waited: one reports over a
// connection of its own, and one asks over a new connection each time.
type latencies struct {
	keepAlive  time.Duration // within which 99 % of the answers came
	newConn times
}

// measureLatency has the two ask for so long, and calls look ten times a second.
func measureLatency(t *testing.T, p *process, long time.Duration, look func()) *latencies {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var o latencies
	var callers sync.WaitGroup
	callers.Go(func() {
		l := newLoad(t, p.addr, 1, nil)
		r, err := l.Run(ctx)
		if err != nil || r.FirstError != nil || r.Recorded == 0 {
			t.Errorf("who reports over one connection: %v, %+v", err, r)
			return
		}
		o.keepAlive = time.Duration(r.Latency.Quantile(0.99)).Round(10 * time.Microsecond)
	})
	callers.Go(func() {
		for ctx.Err() == nil {
			begin := time.Now()
			if _, err := getOnNewConn(ctx, "http://"+p.addr+"/healthz"); err != nil && ctx.Err() == nil {
				t.Errorf("who connects anew: %v", err)
			}
			o.newConn.add(time.Since(begin))
			time.Sleep(2 * time.Millisecond)
		}
	})
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		look()
	}
	callers.Wait()
	return &o
}

// getOnNewConn gets something over a connection of its own.
func getOnNewConn(ctx context.Context, url string) (body string, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return string(all), err
}
