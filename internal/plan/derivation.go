package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Versions of everything that decides the derived pod template. Another template for the same spec restarts the app's pods, so it needs
// another version, and an app changes its version only together with its owner: docs/decisions/derivation-versions.md.
const (
	// OldestDerivation is frozen: testdata/derivation-1.yaml holds the digests of its templates.
	OldestDerivation int32 = 1
	// NewestDerivation is the version of new apps. Its formulas may change until it is in a tagged release.
	NewestDerivation int32 = 2
)

var derivationPath = field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationDerivation)

// rolloutFields are the fields of the spec that change the pods. When the owner changes one of them, the app moves to NewestDerivation. The
// strategy and progressDeadlineSeconds are not among them: their change rolls out nothing, so a move of the app would restart pods that the
// owner did not mean to restart. The digest is made from the JSON form, so a new field must be left out while it is unset (omitzero).
type rolloutFields struct {
	Timing   v1alpha1.TimingSpec    `json:"timing"`
	Template corev1.PodTemplateSpec `json:"template"`
	Drain    *v1alpha1.DrainSpec    `json:"drain,omitempty"`
}

func specDigest(spec *v1alpha1.GracefulAppSpec) string {
	data, err := json.Marshal(rolloutFields{Timing: spec.Timing, Template: spec.Template, Drain: spec.Drain})
	if err != nil {
		return "" // cannot happen to a spec that was read from JSON
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// chooseDerivation decides the version for the app: the one that the owner asks for, else the one in force, else the newest. The result is
// unknown to this operator, and greater than NewestDerivation, if a newer operator has derived the Deployment.
func chooseDerivation(app *v1alpha1.GracefulApp, running Running) int32 {
	if asked := requestedDerivation(app); isKnownDerivation(asked) {
		return asked
	}
	inForce := running.derivation(app)
	switch {
	case inForce == 0:
		return NewestDerivation
	case inForce > NewestDerivation && running.Deployment == nil: // no pod restarts, and without a Deployment there is an outage
		return NewestDerivation
	case inForce < NewestDerivation && ownerRollsOut(app, running, inForce):
		return NewestDerivation
	}
	return inForce
}

func isKnownDerivation(version int32) bool {
	return version >= OldestDerivation && version <= NewestDerivation
}

// derivation returns the version that made the running pod template, 0 if none did. If annotation and status differ, the operator's applied fields
// decide, because any client may edit the annotation; else the status, because it survives a deleted Deployment. A Deployment of the app that
// records no version was created before there were versions.
func (r Running) derivation(app *v1alpha1.GracefulApp) int32 {
	var applied, recorded, live int32
	if d := app.Status.Derivation; d != nil {
		recorded = d.Version
	}
	if r.Deployment != nil {
		live = parseDerivation(r.Deployment.Annotations[v1alpha1.AnnotationDerivation])
		if live == 0 && Owns(app, r.Deployment) {
			live = OldestDerivation
		}
	}
	if live == recorded {
		return live
	}
	if last := r.applied(); last != nil && last.ObjectMetaApplyConfiguration != nil {
		applied = parseDerivation(last.Annotations[v1alpha1.AnnotationDerivation])
	}
	return cmp.Or(applied, recorded, live)
}

func (r Running) applied() *appsv1ac.DeploymentApplyConfiguration {
	if r.Applied == nil {
		return nil
	}
	return r.Applied()
}

// parseDerivation returns 0 if the text is not a version.
func parseDerivation(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int32(n)
}

// ownerRollsOut reports whether the owner has changed a field of rolloutFields since a version that this operator knows derived the Deployment. An
// edit of the Deployment by another client does not count.
func ownerRollsOut(app *v1alpha1.GracefulApp, running Running, version int32) bool {
	last := app.Status.Derivation
	switch {
	case last != nil && last.SpecDigest == specDigest(&app.Spec):
		return false
	case running.isAsDerived(app, version):
		// The change has no effect on the Deployment, or an older operator, which records no digest, has applied it.
		return false
	case last == nil:
		// No digest: the operator was upgraded a moment ago. If it has seen this spec, the Deployment was edited.
		return app.Generation != app.Status.ObservedGeneration
	}
	return true
}

// isAsDerived reports whether the fields of rolloutPart that the operator has applied are those that this version derives from the spec.
func (r Running) isAsDerived(app *v1alpha1.GracefulApp, version int32) bool {
	applied := r.applied()
	if applied == nil {
		return false
	}
	in := newInputOf(version, app, r)
	if len(in.check()) > 0 {
		return false // the spec is invalid, so this version derives nothing from it
	}
	p, err := in.build()
	return err == nil && apiequality.Semantic.DeepEqual(rolloutPart(applied), rolloutPart(p.Deployment))
}

// rolloutPart returns a Deployment's spec without the fields that change no pod.
func rolloutPart(d *appsv1ac.DeploymentApplyConfiguration) appsv1ac.DeploymentSpecApplyConfiguration {
	if d.Spec == nil {
		return appsv1ac.DeploymentSpecApplyConfiguration{}
	}
	part := *d.Spec
	part.Replicas, part.Paused, part.RevisionHistoryLimit = nil, nil, nil
	part.Strategy, part.ProgressDeadlineSeconds = nil, nil
	return part
}

// checkDerivation: if an unknown version derived the Deployment, this operator cannot derive a template without restarting the pods.
func (in *input) checkDerivation() field.ErrorList {
	if in.version <= NewestDerivation {
		return nil
	}
	return field.ErrorList{field.Forbidden(derivationPath, fmt.Sprintf(
		"Deployment %s was derived by version %d, and this operator supports the versions %d to %d; upgrade the operator, or set the annotation "+
			"to %d, which restarts the pods", in.app.Name, in.version, OldestDerivation, NewestDerivation, NewestDerivation))}
}

// requestedDerivation returns the version that the app's owner asks for, 0 if the annotation is absent or not a version.
func requestedDerivation(app *v1alpha1.GracefulApp) int32 {
	return parseDerivation(app.Annotations[v1alpha1.AnnotationDerivation])
}

// CheckRequestedDerivation checks the version that the owner asks for. It is for admission only: after a downgrade, the operator still reconciles an
// app that asks for a newer version.
func CheckRequestedDerivation(app *v1alpha1.GracefulApp) field.ErrorList {
	text, ok := app.Annotations[v1alpha1.AnnotationDerivation]
	if !ok || isKnownDerivation(requestedDerivation(app)) {
		return nil
	}
	return invalid(derivationPath, text,
		"this operator supports the versions %d to %d; ask for one of them, or leave the annotation out", OldestDerivation, NewestDerivation)
}
