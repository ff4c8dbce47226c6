from gammajax.fit.ladder import batch_rung, bins_rung, fine_rung


def test_rungs_hold_what_they_must_and_waste_little():
    for n in [*range(1, 200), 1000, 4097, 10000, 123456]:
        assert n <= batch_rung(n) <= max(1.5 * n, n + 1) and batch_rung(batch_rung(n)) == batch_rung(n)
        assert n <= bins_rung(n) <= max(8, 1.5 * n) and bins_rung(bins_rung(n)) == bins_rung(n)


def test_few_rungs():
    assert sorted({bins_rung(n) for n in range(1, 129)}) == [8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert len({batch_rung(n) for n in range(1, 10001)}) < 45


def test_rungs_of_maps_are_fine():
    for n in range(1, 3000):
        assert n <= fine_rung(n) <= 1.125 * n and fine_rung(fine_rung(n)) == fine_rung(n)
    assert [fine_rung(n) for n in (1, 16, 17, 20, 100, 500)] == [1, 16, 18, 20, 104, 512]
