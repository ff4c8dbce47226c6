from gammajax.datasets.models.spectral import CLASSES, SPECTRAL_MODELS, SpectralModel


def test_every_tag_names_one_class():
    assert len(SPECTRAL_MODELS) == 2 * len(CLASSES) == 46
    for cls in CLASSES:
        assert issubclass(cls, SpectralModel) and cls.tag[0] == cls.__name__
        assert all(SPECTRAL_MODELS[tag] is cls for tag in cls.tag)


def test_the_hooks_come_in_pairs():
    with_extra = {c.__name__ for c in CLASSES if hasattr(c, "extra_dict")}
    assert with_extra == {c.__name__ for c in CLASSES if hasattr(c, "from_extra")}
    assert with_extra == {
        f"{name}SpectralModel"
        for name in ("Compound", "Scale", "PiecewiseNorm", "Template", "TemplateND", "EBLAbsorptionNorm")
    }
