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

// rolledOut are the fields of the spec that change the pods. A change of one of them by the owner moves the app to NewestDerivation. The strategy
// and progressDeadlineSeconds are not among them: they roll out nothing, so to move the app with them would restart pods that nobody meant to. The JSON form decides the digest, so a field that is added must be left out while it is unset (omitzero).
type rolledOut struct {
	Timing   v1alpha1.TimingSpec    `json:"timing"`
	Template corev1.PodTemplateSpec `json:"template"`
}

func specDigest(spec *v1alpha1.GracefulAppSpec) string {
	data, err := json.Marshal(rolledOut{Timing: spec.Timing, Template: spec.Template})
	if err != nil {
		return "" // cannot happen to a spec that was read from JSON
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// chooseDerivation decides the version for the app: the one that the owner asks for, else the one in force, else the newest. The result is
// unknown to this operator, and greater than NewestDerivation, if a newer operator has derived the Deployment.
func chooseDerivation(app *v1alpha1.GracefulApp, running Running) int32 {
	if asked := askedDerivation(app); isKnownDerivation(asked) {
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

// derivation is the version that made the running pod template, 0 if none did. If annotation and status differ, the operator's applied fields
// are the best witness, because anyone may edit the annotation; then the status, because it survives a deleted Deployment. A Deployment of
// the app without any trace of a version is older than versions are.
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

// parseDerivation returns 0 for text that is no version.
func parseDerivation(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int32(n)
}

// ownerRollsOut tells whether the owner has changed a field that rolls out since the Deployment was derived, by a version that this operator
// knows. An edit of the Deployment by another client does not count.
func ownerRollsOut(app *v1alpha1.GracefulApp, running Running, version int32) bool {
	last := app.Status.Derivation
	switch {
	case last != nil && last.SpecDigest == specDigest(&app.Spec):
		return false
	case running.isAsDerived(app, version):
		// The change has no effect on the Deployment, or an operator that knows no digest has applied it.
		return false
	case last == nil:
		// No digest: the operator was upgraded a moment ago. If it has seen this spec, the Deployment was edited.
		return app.Generation != app.Status.ObservedGeneration
	}
	return true
}

// isAsDerived tells whether the Deployment's part that rolls out was applied as this version derives it from the spec.
func (r Running) isAsDerived(app *v1alpha1.GracefulApp, version int32) bool {
	applied := r.applied()
	if applied == nil {
		return false
	}
	in := newInputOf(version, app, r)
	if len(in.check()) > 0 {
		return false // from such a spec nothing can be derived
	}
	p, err := in.build()
	return err == nil && apiequality.Semantic.DeepEqual(rolledOutPart(applied), rolledOutPart(p.Deployment))
}

// rolledOutPart is a Deployment's spec without the fields that change no pod.
func rolledOutPart(d *appsv1ac.DeploymentApplyConfiguration) appsv1ac.DeploymentSpecApplyConfiguration {
	if d.Spec == nil {
		return appsv1ac.DeploymentSpecApplyConfiguration{}
	}
	part := *d.Spec
	part.Replicas, part.Paused, part.RevisionHistoryLimit = nil, nil, nil
	part.Strategy, part.ProgressDeadlineSeconds = nil, nil
	return part
}

// checkDerivation: from a version of tomorrow nothing can be derived without restarting the pods.
func (in *input) checkDerivation() field.ErrorList {
	if in.version <= NewestDerivation {
		return nil
	}
	return field.ErrorList{field.Forbidden(derivationPath, fmt.Sprintf(
		"Deployment %s was derived by version %d, and this operator derives by the versions %d to %d; upgrade the operator, or set the annotation "+
			"to %d, which restarts the pods", in.app.Name, in.version, OldestDerivation, NewestDerivation, NewestDerivation))}
}

// askedDerivation is the version that the app's owner asks for, 0 if none or if the text is no version.
func askedDerivation(app *v1alpha1.GracefulApp) int32 {
	return parseDerivation(app.Annotations[v1alpha1.AnnotationDerivation])
}

// AskedDerivation checks the version that the owner asks for. It is for admission only: an operator that was downgraded goes on with an app
// that asks for a version of tomorrow.
func AskedDerivation(app *v1alpha1.GracefulApp) field.ErrorList {
	text, ok := app.Annotations[v1alpha1.AnnotationDerivation]
	if !ok || isKnownDerivation(askedDerivation(app)) {
		return nil
	}
	return invalid(derivationPath, text,
		"this operator derives by the versions %d to %d; ask for one of them, or leave the annotation out", OldestDerivation, NewestDerivation)
}
