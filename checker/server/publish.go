package server

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
)

const (
	// writeNetworksEvery is how often counts of networks are written.
	writeNetworksEvery = time.Minute
	// makeAfter is how long after the end of a week its public documents are made, so that
	// every server has written its counts, and showAfter is when they are shown. Making them
	// takes a time that may depend on the load; showing them does not.
	makeAfter, showAfter = time.Hour, 2 * time.Hour
	// makeWeeks is the number of weeks whose documents are made late, if no server was
	// running before.
	makeWeeks = 2
)

// publishing is what the goroutine of [Server.publish] remembers.
type publishing struct {
	mu      sync.Mutex
	written time.Time
	made    rollup.Day // the last week whose documents are all made
}

// countNetwork counts the network of a report for the public figures. It comes before the
// limits of rates and versions, because these depend on other clients.
func (s *Server) countNetwork(from sender, p *product, release *catalog.Ranked, platform checker.Platform) {
	if s.networks == nil || from.crossOrigin {
		return
	}
	s.networks.Add(p.id, from.ip, func() public.Cell {
		cell := public.Cell{Line: rollup.Other, OS: platform.OS, Arch: platform.Arch}
		if release != nil && !release.Date.After(s.now()) {
			cell.Line = p.lines().Of(release.Tag)
		}
		return cell
	})
}

// publishedLines returns the minor lines of releases that are published at a time, newest
// first.
func (p *product) publishedLines(now time.Time) (names []string) {
	lines, known := p.lines(), map[string]bool{"": true}
	for _, r := range p.releases {
		if r.Date.After(now) {
			continue
		}
		if name := lines.Of(r.Tag); !known[name] {
			known[name] = true
			names = append(names, name)
		}
	}
	return names
}

// publish keeps time for the counter of networks, writes its counts, and makes the public
// documents of finished weeks, until ctx ends. Nothing of that is caused by a report.
func (s *Server) publish(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var lastErr string
	for {
		var err error
		select {
		case <-ctx.Done():
			err = s.writeNetworks(context.WithoutCancel(ctx))
		case <-ticker.C:
			err = s.publishAt(ctx, s.time())
		}
		if text := errorText(err); text != lastErr {
			if lastErr = text; err != nil && ctx.Err() == nil {
				s.log.Error("cannot write the public figures; trying again", "err", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// time returns the time of the server's clock, which tests replace.
func (s *Server) time() time.Time {
	s.loadMu.Lock()
	defer s.loadMu.Unlock()
	return s.now()
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// publishAt does what is due at a time.
func (s *Server) publishAt(ctx context.Context, now time.Time) error {
	p := &s.publishing
	p.mu.Lock()
	defer p.mu.Unlock()
	s.networks.Tick(now, s.countProducts)
	if since := now.Sub(p.written); since >= 0 && since < writeNetworksEvery {
		return nil
	}
	p.written = now
	if err := s.writeNetworks(ctx); err != nil {
		return err
	}
	last := rollup.OneWeek.Start(rollup.DayOf(now.Add(-makeAfter))) - 7
	if last == p.made {
		return nil
	}
	for week := last - 7*(makeWeeks-1); week <= last; week += 7 {
		if err := s.makeWeek(ctx, week, now); err != nil {
			return err
		}
	}
	p.made = last
	return nil
}

func (s *Server) countProducts() int {
	if snap := s.snapshot.Load(); snap != nil {
		return len(snap.products.values())
	}
	return 0
}

func (s *Server) writeNetworks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.networks.Write(func(r public.Run, changed map[int64]public.Cells) error {
		return s.store.AddNetworkCounts(ctx, r, changed)
	})
}

// makeWeek makes the documents of all products, also of those without any reports.
func (s *Server) makeWeek(ctx context.Context, week rollup.Day, now time.Time) error {
	for _, p := range s.snapshot.Load().products.values() {
		lines := p.publishedLines((week + 7).Time())
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		err := s.store.MakePublicWeek(ctx, p.id, week, now, func(w *public.Week) []byte {
			return public.New(p.Name, w, lines, s.options.PublicThreshold, rand.Reader).Encode()
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// publicWeeks returns the public documents of a product that are shown, the newest first.
func (s *Server) publicWeeks(ctx context.Context, product string) (all []publicWeek, err error) {
	texts, err := s.store.PublicWeeks(ctx, product)
	if err != nil {
		s.log.Error("cannot read the public figures", "product", product, "err", err)
		return nil, unavailable("not_read", "the public figures could not be read; try again later")
	}
	for _, text := range texts {
		d, err := public.Decode(text)
		if err != nil {
			return nil, err
		}
		all = append(all, publicWeek{d, text})
	}
	now := s.now()
	return slices.DeleteFunc(all, func(w publicWeek) bool { return now.Before((w.Week() + 7).Time().Add(showAfter)) }), nil
}

// publicWeek is a public document, and as it is stored.
type publicWeek struct {
	*public.Document
	text []byte
}
