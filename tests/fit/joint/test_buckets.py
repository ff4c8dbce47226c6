from gammajax.kernels import batch_bucket, bins_bucket, fine_bucket


def test_rungs_hold_what_they_must_and_waste_little():
    for n in [*range(1, 200), 1000, 4097, 10000, 123456]:
        assert n <= batch_bucket(n) <= max(1.5 * n, n + 1) and batch_bucket(batch_bucket(n)) == batch_bucket(n)
        assert n <= bins_bucket(n) <= max(8, 1.5 * n) and bins_bucket(bins_bucket(n)) == bins_bucket(n)


def test_few_rungs():
    assert sorted({bins_bucket(n) for n in range(1, 129)}) == [8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert len({batch_bucket(n) for n in range(1, 10001)}) < 45


def test_rungs_of_maps_are_fine():
    for n in range(1, 3000):
        assert n <= fine_bucket(n) <= 1.125 * n and fine_bucket(fine_bucket(n)) == fine_bucket(n)
    assert [fine_bucket(n) for n in (1, 16, 17, 20, 100, 500)] == [1, 16, 18, 20, 104, 512]
