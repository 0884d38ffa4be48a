// Package upstream reads releases from where they are published: files in the format
// of GitHub's releases API ([ReadGitHub]) and Go module proxies ([Proxy]).
//
// Input is untrusted. Its size is limited, and it is checked as a whole: a function
// returns all releases or an error.
package upstream
