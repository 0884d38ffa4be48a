package manage

import (
	"relcheck/checker/server/pages"
)

// products lists all products.
func (s *Service) products(r *Request) (*Answer, error) {
	g := &pages.Grid{Caption: "Products", Head: []pages.Column{{Text: "Product"}, {Text: "Name"}}}
	for _, p := range s.Products() {
		g.Rows = append(g.Rows, []pages.Cell{{Text: p.Title, URL: s.Root + pages.ManagePath(p.Name) + "/releases"}, {Text: p.Name}})
	}
	return page("Products", nil, pages.ManageSection{Grid: g, Empty: "There are no products."}), nil
}
