package manage

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/server/pages"
)

const (
	// maxSync is the maximum duration of a sync, and syncWait the time that the browser waits
	// for its end.
	maxSync  = 15 * time.Minute
	syncWait = 5 * time.Second
)

// syncs are the last syncs that people have started on this server, by product.
type syncs struct {
	mu   sync.Mutex
	last map[string]*syncRun
}

// syncRun is a sync. The result is valid once done is closed.
type syncRun struct {
	started time.Time
	done    chan struct{}
	result  []string
}

// start starts a sync of a product, unless one is running.
func (s *syncs) start(product string, do func(context.Context) []string) *syncRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last[product]; last != nil && !last.ended() {
		return last
	}
	run := &syncRun{started: time.Now(), done: make(chan struct{})}
	if s.last == nil {
		s.last = map[string]*syncRun{}
	}
	s.last[product] = run
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxSync)
		defer cancel()
		run.result = do(ctx)
		close(run.done)
	}()
	return run
}

func (s *syncs) of(product string) *syncRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[product]
}

func (r *syncRun) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// upstreams lists the upstreams of a product, changes them, and starts a sync.
func (s *Service) upstreams(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	now := newForm(r, "sync", "Sync now")
	if now.wasSent() && s.Sync != nil && len(p.UpstreamList()) > 0 {
		run := s.syncs.start(p.Name, func(ctx context.Context) []string { return s.syncNow(ctx, r.Token.ID, p.Name) })
		select {
		case <-run.done:
		case <-time.After(syncWait):
		case <-r.Context().Done():
		}
		return &Answer{Next: s.of(p, "upstreams")}, nil
	}
	f := newForm(r, "edit", "Save")
	var fields []*pages.Field
	for _, setting := range settings {
		if setting.name == "upstreams" || setting.name == "module" {
			setting.group = "" // the form has no others
			fields = append(fields, s.settingField(f, setting, p.Product))
		}
	}
	if f.wasSent() {
		if a := s.editProduct(r, p, f, patchOf(fields), "upstreams", "Changed the upstreams."); a != nil {
			return a, nil
		}
	}
	list := pages.ManageSection{Grid: s.upstreamGrid(p), Empty: "There are no upstreams.", Texts: []string{"Upstreams are where releases are read from: repositories on GitHub and servers like it, Go modules, and other relchecks. What you set by hand about a release takes precedence."},
		Manual: s.manual("releases#upstreams", "Manual: upstreams")}
	if s.Sync != nil && len(p.UpstreamList()) > 0 {
		list.Form = &now.Form
	}
	sections := []pages.ManageSection{list}
	if run := s.syncs.of(p.Name); run != nil {
		sections = append(sections, s.syncResult(p, run))
	}
	return page("Upstreams", p, append(sections, f.section("Change the upstreams"))...), nil
}

// syncNow syncs a product, and describes the result.
func (s *Service) syncNow(ctx context.Context, token, product string) (all []string) {
	results, err := s.Sync(ctx, token, product)
	for _, r := range results {
		all = append(all, r.Upstream+": "+r.String())
		all = append(append(all, r.Skipped[:min(len(r.Skipped), maxSkipped)]...), r.Hints...)
		if more := len(r.Skipped) - maxSkipped; more > 0 {
			all = append(all, fmt.Sprintf("%d more entries were skipped", more))
		}
	}
	if err != nil {
		all = append(all, err.Error())
	}
	for i, text := range all { // which begin with names
		all[i] = printable.Clean(text)
	}
	return all
}

// maxSkipped is the maximum number of skipped entries of an upstream that are shown.
const maxSkipped = 20

// syncResult shows the result of a sync.
func (s *Service) syncResult(p *Product, run *syncRun) pages.ManageSection {
	if !run.ended() {
		return pages.ManageSection{Title: "Result", Texts: []string{"A sync has been running since " + run.started.UTC().Format("15:04:05 UTC") + "."}, Actions: []pages.Action{{Text: "Show its result", URL: s.of(p, "upstreams")}}}
	}
	return pages.ManageSection{Title: "Result", Texts: []string{"The sync that was started at " + run.started.UTC().Format("15:04:05 UTC on 2006-01-02") + ":"}, List: run.result}
}

func (s *Service) upstreamGrid(p *Product) *pages.Grid {
	g := &pages.Grid{Caption: "Upstreams", Head: []pages.Column{{Text: "Upstream", Long: true}, {Text: "State", Long: true}, {Text: "Synced"}, {Text: "Latest there"}}}
	all := p.Freshness(time.Now(), s.StaleAfter)
	for _, name := range p.UpstreamList() {
		if !slices.ContainsFunc(all, func(f catalog.Freshness) bool { return f.Upstream == name }) {
			all = append(all, catalog.Freshness{Sync: catalog.Sync{Upstream: name}})
		}
	}
	for _, f := range all {
		state := pages.Cell{Text: "ok", Class: "state good"}
		switch {
		case f.Stale:
			state = pages.Cell{Text: "stale", Class: "state bad"}
		case f.Error != "":
			state = pages.Cell{Text: "failed", Class: "state bad"}
		case f.Succeeded.IsZero():
			state = pages.Cell{Text: "not synced yet", Class: "state quiet"}
		}
		if state.Note = ""; f.Error != "" {
			state.Note = pages.Sentence(f.Error)
		}
		g.Rows = append(g.Rows, []pages.Cell{{Text: f.Upstream}, state, {Text: f.Ago()}, {Text: f.Latest}})
	}
	return g
}
