package manage

import (
	"context"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
)

// withdraw withdraws a release after a confirmation.
func (s *Service) withdraw(r *Request) (*Answer, error) { return s.setWithdrawn(r, true) }

// restore restores a release after a confirmation.
func (s *Service) restore(r *Request) (*Answer, error) { return s.setWithdrawn(r, false) }

func (s *Service) setWithdrawn(r *Request, withdrawn bool) (*Answer, error) {
	p, ranked, _, err := s.findRelease(r)
	if err != nil {
		return nil, err
	}
	tag, verb, past := ranked.Tag, "Restore", "Restored"
	if withdrawn {
		verb, past = "Withdraw", "Withdrew"
	}
	back := s.of(p, "release", "tag", tag)
	if ranked.Withdrawn == withdrawn {
		return done(back, "Nothing to change: release "+tag+" is "+map[bool]string{true: "withdrawn already.", false: "not withdrawn."}[withdrawn]), nil
	}
	next := ranked.Release
	next.Withdrawn = withdrawn
	c := confirmation{title: verb + " " + tag + "?", what: []string{verb + "s release " + tag + "."}, button: verb + " " + tag, danger: withdrawn, cancel: back, next: back, done: past + " release " + tag + "."}
	c.what = append(c.what, offers(p, tag, &next)...)
	if withdrawn {
		c.what = append(c.what, "Its files stay, and you can restore it later.")
	}
	if c.now, err = running(r, p, tag); err != nil {
		return nil, err
	}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error {
			_, _, err := by.Withdraw(ctx, p.Name, tag, withdrawn)
			return err
		})
	}
	return s.confirm(r, p, c), nil
}

// reset removes what was set here about a release, after a confirmation.
func (s *Service) reset(r *Request) (*Answer, error) {
	p, ranked, layers, err := s.findRelease(r)
	if err != nil {
		return nil, err
	}
	tag := ranked.Tag
	c := confirmation{title: "Undo the changes of " + tag + "?", button: "Undo the changes", danger: true, cancel: s.of(p, "release", "tag", tag), next: s.of(p, "release", "tag", tag),
		done: "Release " + tag + " is as upstream lists it."}
	operator, upstream := layers[catalog.Operator], layers[catalog.Upstream]
	if operator == nil {
		return done(c.next, "Nothing to undo: nothing about release "+tag+" was set here."), nil
	}
	var next *catalog.Release
	if upstream == nil {
		c.title, c.button = "Remove "+tag+"?", "Remove "+tag
		c.what = []string{"Removes release " + tag + ", because only this service has it: no upstream lists it.", "This cannot be undone."}
		c.next, c.done = s.of(p, "releases"), "Removed release "+tag+"."
	} else {
		next = new(catalog.NewRelease(ranked.Version, upstream, nil))
		fields := operator.Differences(new(catalog.Layer))
		c.what = []string{"Removes what was set here about release " + tag + ": " + strings.Join(fields, ", ") + "."}
	}
	c.what = append(c.what, offers(p, tag, next)...)
	if c.now, err = running(r, p, tag); err != nil {
		return nil, err
	}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error {
			_, _, err := by.ResetRelease(ctx, p.Name, tag)
			return err
		})
	}
	return s.confirm(r, p, c), nil
}

// offers describes what clients are offered if a release becomes another one.
func offers(p *Product, tag string, next *catalog.Release) (all []string) {
	for _, change := range p.OfferChanges(p.Releases, tag, next, time.Now()) {
		of := "Clients"
		if change.Channel != "" {
			of = "Clients of channel " + change.Channel
		}
		if change.To == "" {
			all = append(all, of+" will be offered no release.")
		} else {
			all = append(all, of+" will be offered "+change.To+".")
		}
	}
	if len(all) == 0 {
		all = append(all, "The release that clients are offered does not change.")
	}
	return all
}

// running describes how many instances or installations run a release, if that is known.
func running(r *Request, p *Product, tag string) ([]string, error) {
	n, of, err := r.Running(p.Name, tag)
	switch {
	case err != nil || of == "":
		return nil, err
	case n == 1:
		return []string{"1 " + strings.TrimSuffix(of, "s") + " has run it in the last 28 days."}, nil
	}
	return []string{stats.ShowNumber(n) + " " + of + " have run it in the last 28 days."}, nil
}
