package manage

import (
	"strconv"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server/pages"
)

// audit shows the log of changes, newest first.
func (s *Service) audit(r *Request) (*Answer, error) {
	query := r.URL.Query()
	product := strings.TrimSpace(query.Get("product"))
	before, _ := strconv.ParseInt(query.Get("before"), 10, 64) // 0 is the start
	entries, err := r.Store.AuditPage(r.Context(), product, max(0, before), perPage+1)
	if err != nil {
		return nil, err
	}
	tokens, err := r.Store.Tokens(r.Context())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, t := range tokens {
		names[t.ID] = t.Name
	}
	link := func(before int64) string {
		query.Set("before", strconv.FormatInt(before, 10))
		return pages.Address(s.Root+"/manage/audit", query)
	}
	list := pages.ManageSection{Grid: auditGrid(entries[:min(perPage, len(entries))], names), Empty: "There are no changes.",
		Texts: []string{"Every change to products, releases, tokens, keys and sites is recorded here."}, Manual: s.manual("tokens#audit-log", "Manual: audit log")}
	if len(entries) > perPage {
		list.Actions = append(list.Actions, pages.Action{Text: "Older changes", URL: link(entries[perPage-1].ID)})
	}
	if before > 0 {
		query.Del("before")
		list.Actions = append(list.Actions, pages.Action{Text: "Newest changes", URL: pages.Address(s.Root+"/manage/audit", query)})
	}
	list.Search = &pages.Search{Label: "Name of the product", Name: "product", Value: product, Reset: s.Root + "/manage/audit"}
	return page("Audit log", nil, list), nil
}

func auditGrid(entries []access.AuditEntry, names map[string]string) *pages.Grid {
	g := &pages.Grid{Caption: "Changes", Head: []pages.Column{{Text: "When (UTC)"}, {Text: "Who"}, {Text: "Product"}, {Text: "Change", Long: true}}}
	for _, a := range entries {
		g.Rows = append(g.Rows, []pages.Cell{{Text: a.At.Format(time.DateTime)}, {Text: a.Actor, Note: names[a.Actor]}, {Text: a.Product}, {Text: a.Sentence()}})
	}
	return g
}
