from gammajax.datasets.models.spatial import CLASSES, SCHEMES, SPATIAL_MODELS, ExtendedModel, PositionedModel


def test_every_class_is_found_by_both_tags():
    for cls in CLASSES:
        assert len(cls.tag) == 2 and cls.tag[0] == cls.__name__
        assert all(SPATIAL_MODELS[tag] is cls for tag in cls.tag)
    assert len(SPATIAL_MODELS) == 2 * len(CLASSES)


def test_schemes_say_what_a_class_can_do():
    for cls in CLASSES:
        assert cls.scheme in SCHEMES
        assert (cls.scheme == "nodes") == issubclass(cls, ExtendedModel)
        assert hasattr(cls, "blurred_profile") == (cls.scheme in ("point", "gauss"))
        assert issubclass(cls, PositionedModel) == (cls.scheme != "direct")
