package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// view returns the statistics that a request asks for, about the product in its path and
// as far as its role may see them. Pages and the API share it.
func (s *Server) view(r *http.Request, id identity) (*stats.View, error) {
	return s.viewOf(r, id, r.PathValue("product"), r.URL.Query().Get)
}

// viewOf is view for any product and any source of parameters.
func (s *Server) viewOf(r *http.Request, id identity, name string, get func(string) string) (*stats.View, error) {
	p, err := s.product(name)
	if err != nil {
		return nil, err
	}
	public, today := id.role != reader, rollup.DayOf(time.Now())
	parse, fresh := stats.ParseQuery, viewFresh
	if public {
		parse, fresh = stats.ParsePublicQuery, publicFresh // which excludes today
	}
	q, err := parse(get, today)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "invalid_query", parameterOfError(err), err.Error())
	}
	v, err := s.views.get(r.Context(), viewKey{p, q, today, public}, fresh, func(ctx context.Context) (*stats.View, error) {
		totals, err := s.store.Totals(ctx, p.Name, q.Range, q.Keeps)
		if err != nil {
			return nil, err
		}
		v := stats.NewView(p.listing(), q, totals, today)
		if public {
			v = v.Public(s.options.PublicThreshold)
		}
		return v, nil
	})
	if err != nil {
		err = s.viewError(r, name, err)
	}
	return v, err
}

// viewError returns the error for statistics that could not be read. It counts timeouts,
// and logs errors of the store.
func (s *Server) viewError(r *http.Request, product string, err error) error {
	if errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		err = busy()
	}
	switch f, ok := errors.AsType[*failure](err); {
	case ok && f.status == http.StatusServiceUnavailable:
		s.metrics.queriesTimedOut.Inc()
	case !ok && r.Context().Err() == nil:
		s.log.Error("cannot read statistics", "product", product, "err", err)
	}
	return err
}

// maxQueryTime limits the time for all queries of a request. The HTTP server allows more
// time for the response.
const maxQueryTime = 25 * time.Second

func (s *Server) limitQueryTime(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		ctx, cancel := context.WithTimeout(r.Context(), s.queryTimeout)
		defer cancel()
		return h(w, r.WithContext(ctx), id)
	}
}
