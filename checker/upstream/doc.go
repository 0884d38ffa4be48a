// Package upstream reads releases from where they are published: files in the
// form of GitHub's releases API ([ReadGitHub]) and Go module proxies ([Proxy]).
//
// What it reads was written by others. It is bounded, checked as a whole, and
// given back entire or not at all.
package upstream
