// Package route makes handlers of a table of routes. The table says what is served, what a
// request may ask, and what the description of the interface (OpenAPI) tells of it; so
// these cannot differ.
//
// Parameters are strict: one that is unknown, empty, doubled or out of bounds is refused with
// a problem document that names it, and shows the place in a search line.
package route
