package controllers

import (
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

// anyError reports whether is returns true for the error or for one of the errors that it joins.
func anyError(err error, is func(error) bool) bool { return slices.ContainsFunc(flatten(err), is) }

// flatten returns the errors that an error joins, or the error itself.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// singleLine returns the text of an error in one line.
func singleLine(err error) string {
	var all []string
	for _, e := range flatten(err) {
		all = append(all, e.Error())
	}
	return strings.Join(all, "; ")
}

// isRejected reports whether the API server would reject the same request again.
func isRejected(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) ||
		children.IsDenied(err)
}

// isConflict reports whether the cache was stale. A webhook that denies a request may choose the code of a conflict; the same request would be denied again.
func isConflict(err error) bool { return apierrors.IsConflict(err) && !isRejected(err) }

func isAltered(err error) bool { return errors.As(err, new(*children.AlteredError)) }

// isTransient reports whether the same request may succeed soon. A conflict is left out: it only means that the cache was stale.
func isTransient(err error) bool {
	return !isRejected(err) && !isAltered(err) && !isConflict(err) && !isRateLimited(err)
}

// isRateLimited reports whether the write exceeded the limit of writes per minute.
func isRateLimited(err error) bool { return errors.As(err, new(*tooManyWritesError)) }

// isPermanent reports whether the request can succeed only after a change of the spec or of a policy.
func isPermanent(err error) bool { return isRejected(err) || isAltered(err) }

func isNotAltered(err error) bool { return !isAltered(err) }
