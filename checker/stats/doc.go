// Package stats turns the rollups of a product into the tables that maintainers read.
package stats
