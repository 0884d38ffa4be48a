package pages

// Pager describes which page of a list is shown, with links to the others. A link is
// empty if there is no such page.
type Pager struct {
	Page, Per, Total        int // Page counts from 1; Per is the number of items on a page
	First, Prev, Next, Last string
}

// Pages returns the number of pages, which is at least 1.
func (p Pager) Pages() int { return max(1, (p.Total+p.Per-1)/p.Per) }

// Bounds returns the range of the page's items in the list.
func (p Pager) Bounds() (from, to int) {
	from = min((p.Page-1)*p.Per, p.Total)
	return from, min(from+p.Per, p.Total)
}

// Range describes which items the page shows.
func (p Pager) Range() string {
	from, to := p.Bounds()
	if from == to {
		return "0 of " + formatNumber(int64(p.Total))
	}
	return formatNumber(int64(from+1)) + "–" + formatNumber(int64(to)) + " of " + formatNumber(int64(p.Total))
}

// Search is a form that searches a list by a part of a name.
type Search struct {
	Label, Name, Value string
	Reset              string // URL of the whole list
}
