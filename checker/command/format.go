package command

import "relcheck/checker/stats"

// show writes a value of a table for people. Text may come from anybody.
func show(k stats.Kind, value any) string {
	if text, ok := value.(string); ok {
		return masked(text)
	}
	return stats.Show(k, value)
}
