// Package stats turns reports into figures. It knows no database: it folds
// reports into rollups, and merges rollups of any days and builds into what
// maintainers ask about.
//
// Merging is associative and commutative, and folding a report twice changes
// neither distinct counts nor anything that is derived from them.
package stats
